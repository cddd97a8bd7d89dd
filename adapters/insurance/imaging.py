"""Which rows are CT and MRI reports, and when each examination was performed.

Table 4 has the report and no time of performance; table 3 has the time and no report. They are joined by the bare
service code, then by an equal NGAY_KQ, then by order. A join that these do not settle is made and called approximate.
Source: notes on tables 3 and 4 in QĐ 4750/QĐ-BYT; the order of the rules is ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from adapters.insurance.rows import Row
from adapters.insurance.values import Moment, read_moment
from registry.code_maps import loinc_of
from registry.coded import IMAGING_REPORT, CodedValue
from registry.examinations import Examination, by_service_code, from_header
from registry.vietnamese import folded

MODALITIES = {"CT": "Computed Tomography", "MR": "Magnetic Resonance"}
_MODALITY_WORDS = (
    ("MR", ("cong huong tu", "mri", "cht")),
    ("CT", ("cat lop vi tinh", "clvt", "ct scanner", "ct scan")),
)
_LONGEST_NAME = 1024
LONGEST_TITLE = 255
_MACHINES = {"CL": "CT", "MRI": "MR"}


@dataclass(frozen=True, slots=True)
class Report:
    """One CT or MRI report: the row of table 4 and, where there is one, the row of table 3 that it belongs to.

    code           the service code without its suffixes
    number         which of the reports with this code, in the order of the file, from 1
    row            the place of the row in table 4, from 1
    approximate    why the row of table 3, hence the time, may be that of another examination; empty where it is not
    """

    code: str
    number: int
    row: int
    modality: str
    examination: Examination | None
    result: Row
    service: Row | None = None
    approximate: str = ""

    @property
    def name(self) -> str:
        """What was done, in the words of the hospital."""
        known = by_service_code(self.code)
        told = (self.service or {}).get("TEN_DICH_VU") or self.result.get("TEN_CHI_SO")
        return told or (known.name if known else "")

    @property
    def title(self) -> str:
        """As an index shows it: a whole report can stand in the column of its name."""
        return self.name[:LONGEST_TITLE]

    @property
    def performed(self) -> Moment | None:
        return read_moment((self.service or {}).get("NGAY_TH_YL", ""))

    @property
    def resulted(self) -> Moment | None:
        return read_moment(self.result.get("NGAY_KQ", "")) or read_moment((self.service or {}).get("NGAY_KQ", ""))

    @property
    def type(self) -> CodedValue:
        return type_of(self.examination)


def type_of(examination: Examination | None) -> CodedValue:
    """The LOINC code of the examination, or of imaging studies in general."""
    if examination is None:
        return IMAGING_REPORT
    return loinc_of(examination) or IMAGING_REPORT


def bare_code(code: str) -> str:
    """`18.0149.0040_GT` and `18.0149.0040.K.01929` are 18.0149.0040: how and where it was done is not what."""
    return _bare_code(code[:_LONGEST_NAME])


@lru_cache(maxsize=4096)
def _bare_code(code: str) -> str:
    return ".".join(code.strip().upper().split("_")[0].split(".")[:3])


def performed_elsewhere(code: str) -> str | None:
    """The facility that did the examination for this one (`.K.01929`)."""
    before, found, facility = code.strip().upper().partition(".K.")
    return facility[:5] if before and found and len(facility) >= 5 else None


def imaging_reports(results: Sequence[Row], services: Sequence[Row]) -> tuple[Report, ...]:
    """The CT and MRI reports among the rows of table 4, each with its row of table 3."""
    by_code: dict[str, list[Row]] = defaultdict(list)
    for row in services:
        by_code[bare_code(row.get("MA_DICH_VU", ""))].append(row)
    reports: dict[str, list[Report]] = defaultdict(list)
    for place, row in enumerate(results, 1):
        code = bare_code(row.get("MA_DICH_VU", ""))
        found = _examination(code, row, by_code.get(code, ()))
        if found is not None:
            modality, examination = found
            reports[code].append(Report(code, len(reports[code]) + 1, place, modality, examination, row))
    joined = [one for code, group in reports.items() for one in _join(group, by_code.get(code, []))]
    return tuple(sorted(joined, key=lambda one: one.row))


def _examination(code: str, result: Row, services: Sequence[Row]) -> tuple[str, Examination | None] | None:
    """Modality and examination by the national list, else by the words of the hospital, else by its machine."""
    names = [result.get("TEN_CHI_SO", ""), *(row.get("TEN_DICH_VU", "") for row in services)]
    found = examination_by_name(code, names)
    if found is not None:
        return found
    modality = _modality_of_machine([result, *services])
    return (modality, from_header(modality, *names)) if modality else None


def examination_by_name(code: str, names: Sequence[str]) -> tuple[str, Examination | None] | None:
    """Modality and examination by the national list, else by the words of the hospital."""
    known = by_service_code(code)
    if known is not None:
        return known.examination.modality, known.examination
    modality = _modality_of_words(names)
    return (modality, from_header(modality, *names)) if modality else None


def _modality_of_words(names: Sequence[str]) -> str | None:
    told = {modality for name in names if (modality := _modality_of_name(name[:_LONGEST_NAME]))}
    return next((modality for modality, _ in _MODALITY_WORDS if modality in told), None)


@lru_cache(maxsize=4096)
def _modality_of_name(name: str) -> str | None:
    """A hospital has some hundred names of services, and each of them comes a thousand times a day."""
    plain = f" {folded(name)} "
    return next((modality for modality, known in _MODALITY_WORDS if any(f" {word} " in plain for word in known)), None)


def _modality_of_machine(rows: Sequence[Row]) -> str | None:
    machines = (row.get("MA_MAY", "").strip().upper().split(".")[0] for row in rows)
    return next((_MACHINES[prefix] for prefix in machines if prefix in _MACHINES), None)


def _join(reports: Sequence[Report], services: Sequence[Row]) -> list[Report]:
    """Give each report of one code its row of table 3."""
    if len(reports) == 1 and len(services) == 1:
        return [_with(reports[0], services[0])]
    open_reports, open_services = list(reports), list(services)
    joined: list[Report] = []
    for report in reports:
        same_time = [row for row in open_services if _same_result_time(row, report)]
        rivals = [one for one in open_reports if _same_result_time(report.result, one)]
        if len(same_time) == len(rivals) == 1:
            joined.append(_with(report, same_time[0]))
            open_reports.remove(report)
            open_services.remove(same_time[0])
    return joined + _join_by_order(open_reports, open_services, services)


def _join_by_order(reports: Sequence[Report], left: Sequence[Row], services: Sequence[Row]) -> list[Report]:
    if len(reports) == len(left):
        said = "the code stands several times in this visit and rows were joined by their order"
        doubt = "" if len({row.get("NGAY_TH_YL", "") for row in left}) <= 1 else said
        return [_with(report, row, doubt) for report, row in zip(reports, left, strict=True)]
    candidates = left or services
    if not candidates:
        return list(reports)
    said = f"{len(reports)} reports and {len(candidates)} rows of table 3 share this code"
    doubt = "" if len({row.get("NGAY_TH_YL", "") for row in candidates}) <= 1 else said
    return [_with(report, _last_before(report, candidates), doubt) for report in reports]


def _last_before(report: Report, services: Sequence[Row]) -> Row:
    """The latest examination that was performed before the result was there; else the first."""
    until = report.resulted
    times = [(moment.at, row) for row in services if (moment := read_moment(row.get("NGAY_TH_YL", "")))]
    before = [(at, row) for at, row in times if until is not None and at <= until.at]
    return max(before, key=lambda pair: pair[0])[1] if before else services[0]


def _same_result_time(row: Row, report: Report) -> bool:
    return bool(row.get("NGAY_KQ")) and row.get("NGAY_KQ") == report.result.get("NGAY_KQ")


def _with(report: Report, service: Row, approximate: str = "") -> Report:
    return replace(report, service=service, approximate=approximate)
