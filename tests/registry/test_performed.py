"""Images and reports that belong together are one line, whichever of them names the other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hie_node.web.timeline import timeline
from registry.coded import SERVICE_CODE, CodedValue
from registry.documents import Attachment, DocumentEntry
from registry.earlier import bring_together, listed
from registry.examinations import Examination
from registry.identifiers import DICOM_UID, HomeCommunityId, PatientIdentifier
from registry.performed import as_performed
from registry.studies import Series, Study

NOW = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)
BAC_NINH, BACH_MAI = HomeCommunityId("urn:oid:2.25.27001"), HomeCommunityId("urn:oid:2.25.1929")
PATIENT = PatientIdentifier("urn:oid:2.25.27001.1", "BA-1")
UID = "1.2.826.0.1.3680043.10.99.1"


def study(*, contrast: bool = False, **more: object) -> Study:
    series = Series(f"{UID}.1", "CT", body_part="HEAD", contrast_agent="Iohexol" if contrast else None)
    return Study("s1", UID, PATIENT, "r1", NOW, series=(series,), **more)  # type: ignore[arg-type]


def report(title: str = "", **more: object) -> DocumentEntry:
    attachment = Attachment("text/plain", 1, "a" * 40, "", title=title)
    return DocumentEntry("d1", "urn:uuid:1", "2.25.2", PATIENT, "r1", attachment, **more)  # type: ignore[arg-type]


NAMES_ITS_STUDY = {"references": (PatientIdentifier(DICOM_UID, f"urn:oid:{UID}"),)}


@pytest.mark.parametrize(
    ("images", "text"),
    [(study(), report(**NAMES_ITS_STUDY)), (study(report_id="d1"), report())],
    ids=["the report names the study", "the study names the report"],
)
def test_the_doctors_page_and_the_order_card_show_the_same_one_examination(images: Study, text: DocumentEntry) -> None:
    (group,) = timeline([text], [images], here=BACH_MAI).imaging
    (line,) = group.entries
    (card,) = bring_together([listed(images)], [text], here=BACH_MAI)
    assert line.study == images and line.reports == card.reports == (text,)
    assert (line.home, line.examination, line.title) == (card.home, card.examination, card.title)


def test_a_report_of_another_hospital_is_not_put_to_these_images() -> None:
    naming = report(home=BAC_NINH, **NAMES_ITS_STUDY)
    for images, text in ((study(report_id="d1"), report(home=BAC_NINH)), (study(), naming)):
        found = list(as_performed([images], [text], here=BACH_MAI))
        assert [(one.home, len(one.reports)) for one in found] == [(BACH_MAI, 0), (BAC_NINH, 1)]


def test_a_report_without_a_code_is_known_by_its_title() -> None:
    (group,) = timeline([report("Chụp CLVT sọ não không tiêm thuốc cản quang")], [], here=BACH_MAI).imaging
    assert group.examination == Examination("CT", "brain", False)
    shown = timeline([report("Công thức máu")], [], here=BACH_MAI)
    assert not shown.imaging and len(shown.others) == 1


def test_a_contrast_agent_in_a_header_completes_what_is_known_and_the_code_goes_before_it() -> None:
    (bare,) = as_performed([study(contrast=True)], [], here=BACH_MAI)
    assert bare.examination == Examination("CT", "brain", True)
    coded = report(events=(CodedValue("18.0149.0040", SERVICE_CODE),), **NAMES_ITS_STUDY)
    (named,) = as_performed([study(contrast=True)], [coded], here=BACH_MAI)
    assert named.examination == Examination("CT", "brain", False) and named.service is not None
