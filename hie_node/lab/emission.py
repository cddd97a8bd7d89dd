"""What the systems of one hospital leave behind: insurance files, images, and reports with a sidecar."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from hie_node.lab.documents import report_pdf, report_text, sidecar
from hie_node.lab.hospitals import Hospital, Province
from hie_node.lab.insurance_files import insurance_file
from hie_node.lab.studies import SAMPLES, SeriesSpec, StudySpec, write_study
from hie_node.lab.visits import Examination, Visit

_REPORT_EVERY = 8
"""One examination in so many has its report as a file too; the rest have it in the insurance file alone."""

_SEX: dict[str, Literal["M", "F", "O"]] = {"male": "M", "female": "F", "unknown": "O"}


@dataclass(frozen=True, slots=True)
class Written:
    """The files that now lie in the folder, and how many of what.

    counts  "insurance_files", "visits", "studies", "images", "reports"
    """

    paths: tuple[Path, ...]
    counts: dict[str, int]


def write(province: Province, folder: Path, hospital: str, *, story_slices: int = 24) -> Written:
    """Write what `hospital` ("bac-ninh", ...) would emit: `insurance/`, `dicom/<accession>/`, `reports/`.

    story_slices  size of the generated CT of the story; every other study is of small sample images
    """
    house, visits = province.hospitals[hospital], province.visits[hospital]
    insurance = list(_insurance(house, visits, folder / "insurance"))
    images: list[Path] = []
    studies = 0
    for visit in visits:
        for one in visit.examinations:
            series = _series(one, generated=story_slices if one == province.story.ct else 0)
            spec = study_spec(visit, one, house, series=series)
            images += write_study(spec, folder / "dicom" / one.accession_number)
            studies += 1
    reports = list(_reports(province, house, visits, folder / "reports"))
    counts = {"insurance_files": len(insurance), "visits": len(visits), "studies": studies}
    counts |= {"images": len(images), "reports": len(reports) // 2}
    return Written((*insurance, *images, *reports), counts)


def study_spec(visit: Visit, one: Examination, hospital: Hospital, *, series: tuple[SeriesSpec, ...]) -> StudySpec:
    """The study that belongs to an examination, under the name the desk typed and the hospital's number."""
    who = visit.registration
    family, _, rest = who.name.strip().partition(" ")
    middle, _, given = rest.strip().rpartition(" ")
    return StudySpec(
        patient_id=visit.patient_number,
        family=family,
        middle=middle.strip(),
        given=given,
        birth_date="" if who.birth_date.endswith("0000") else who.birth_date,
        sex=_SEX[who.gender],
        issuer=hospital.facility_code,
        accession_number=one.accession_number,
        started=one.performed,
        modality=one.kind.modality,
        body_part=one.kind.body_part,
        description=one.kind.title[:64],
        protocol=one.kind.title[:64],
        institution=hospital.name,
        series=series,
        name_style=hospital.name_style,
    )


def _insurance(house: Hospital, visits: tuple[Visit, ...], folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    waiting, number = iter(visits), 0
    while batch := list(islice(waiting, house.visits_in_file)):
        number += 1
        path = folder / f"{house.facility_code}_{batch[-1].left:%Y%m%d}_{number:04d}.xml"
        path.write_bytes(insurance_file(batch, style=house.style))
        yield path


def _series(one: Examination, *, generated: int) -> tuple[SeriesSpec, ...]:
    agent = "Iohexol 300" if one.kind.contrast and one.kind.modality == "CT" else None
    agent = "Gadoterate" if one.kind.contrast and one.kind.modality == "MR" else agent
    if generated:
        return (
            SeriesSpec(2, "Não 5,0 mm", slices=generated // 3 or 1, slice_thickness=5.0, kernel="H31s"),
            SeriesSpec(3, "Não 1,25 mm", slices=generated, slice_thickness=1.25, kernel="H60s"),
        )
    return (SeriesSpec(1, one.kind.body_part, samples=SAMPLES[one.kind.modality], contrast_agent=agent),)


def _reports(province: Province, house: Hospital, visits: tuple[Visit, ...], folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    examined = [(visit, one) for visit in visits for one in visit.examinations]
    for number, (visit, one) in enumerate(examined):
        of_story = one in (province.story.ct, province.story.mri)
        if number % _REPORT_EVERY and not of_story:
            continue
        text = report_text(visit, one, house)
        as_pdf = of_story or number % (2 * _REPORT_EVERY) == 0
        path = folder / f"{one.accession_number}.{'pdf' if as_pdf else 'txt'}"
        path.write_bytes(report_pdf(text) if as_pdf else text.encode())
        yield path
        beside = path.with_suffix(".json")
        beside.write_bytes(sidecar(visit, one, house))
        yield beside
