"""Has it been done? What a doctor is told, and what would make the card useless or wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from registry.coded import SERVICE_CODE, CodedValue
from registry.documents import Attachment, DocumentEntry
from registry.done_before import Likeness, QualityLevel, done_before, likeness
from registry.earlier import Earlier, bring_together, listed
from registry.errors import InvalidValue
from registry.examinations import Examination, by_service_code
from registry.identifiers import DICOM_UID, HomeCommunityId, PatientIdentifier
from registry.ordered import Ordered, examination_of, read_own_codes, spoken_of
from registry.studies import Instance, Series, Study
from registry.validity import in_effect, read_tables, shipped

NOW = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)
BAC_NINH, BACH_MAI = HomeCommunityId("urn:oid:2.25.27001"), HomeCommunityId("urn:oid:2.25.1929")
PLAIN_HEAD, HEAD, CONTRAST_HEAD = (Examination("CT", "brain", contrast) for contrast in (False, None, True))
TABLE = in_effect(shipped(), NOW.date())
UID = "1.2.826.0.1.3680043.10.99.1"


def earlier(examination: Examination = PLAIN_HEAD, *, days: float = 5, **more: object) -> Earlier:
    performed = NOW - timedelta(days=days)
    return Earlier(BAC_NINH, performed, examination, "CT sọ não", images=160, **more)  # type: ignore[arg-type]


def facts(ordered: Ordered, one: Earlier, levels: object = None) -> dict[str, str]:
    (match,) = done_before(ordered, [one], TABLE, levels or {}, now=NOW)  # type: ignore[arg-type]
    return {fact.code: fact.speaks for fact in match.facts}


@pytest.mark.parametrize(
    ("code", "wanted"),
    [("18.0149.0040", PLAIN_HEAD), ("18.0165.0043", PLAIN_HEAD), ("18.0178.0047.K.01929", PLAIN_HEAD),
     ("18.0150.0041_GT", CONTRAST_HEAD)],
)  # fmt: skip
def test_the_small_and_the_large_scanner_do_the_same_examination(code: str, wanted: Examination) -> None:
    found = examination_of([CodedValue(code, SERVICE_CODE)], [], {})
    assert found is not None and found[0] == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("Chụp CLVT sọ não không tiêm thuốc cản quang (từ 64-128 dãy)", PLAIN_HEAD),
     ("chup ct so nao", HEAD), ("CT Head WO contrast", PLAIN_HEAD),
     ("MRI brain with contrast", Examination("MR", "brain", True)),
     ("CỘNG HƯỞNG TỪ CỘT SỐNG THẮT LƯNG", Examination("MR", "lumbar_spine", None)),
     ("CHT cột sống ngực", Examination("MR", "thoracic_spine", None)),
     ("X quang ngực thẳng", None), ("Công thức máu", None), ("", None)],
)  # fmt: skip
def test_words_are_understood_with_and_without_marks(text: str, wanted: Examination | None) -> None:
    assert spoken_of(text) == wanted


def test_a_hospitals_own_code_counts_and_public_codes_do() -> None:
    own = read_own_codes("system,code,examination\nhttp://his,CT01,CT/chest/plain\n,1234567,MR/brain/unknown\n")
    sent = (("http://his", "CT01"), ("any", "1234567"), ("http://loinc.org", "30799-1"), ("http://other", "CT01"))
    found = [examination_of([CodedValue(code, system)], [], own) for system, code in sent]
    assert [one and one[0].key for one in found] == ["CT/chest/plain", "MR/brain/unknown", "CT/brain/plain", None]
    with pytest.raises(ValueError, match="line 2"):
        read_own_codes("a,b,CT/brain/plain\na,b,head\n")


def test_the_same_examination_in_time_stands_in_and_another_is_not_shown() -> None:
    found = done_before(
        Ordered(PLAIN_HEAD), [earlier(), earlier(Examination("CT", "chest", False))], TABLE, {}, now=NOW
    )
    assert [match.likeness for match in found] == [Likeness.SAME] and found[0].stands_in
    assert found[0].valid_until == found[0].earlier.performed + timedelta(days=30)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("ordered", "done", "like"),
    [(PLAIN_HEAD, CONTRAST_HEAD, Likeness.RELATED), (HEAD, CONTRAST_HEAD, Likeness.PERHAPS),
     (Examination("CT", "pelvis", True), Examination("CT", "abdomen_pelvis", True), Likeness.COVERS),
     (Examination("CT", "abdomen_pelvis", True), Examination("CT", "pelvis", True), Likeness.RELATED),
     (Examination("CT", "upper_abdomen", False), Examination("CT", "abdomen", False), Likeness.SAME),
     (PLAIN_HEAD, Examination("MR", "brain", False), None),
     (PLAIN_HEAD, Examination("CT", "brain_vessels", True), None)],
)  # fmt: skip
def test_region_and_contrast_say_how_alike_two_examinations_are(
    ordered: Examination, done: Examination, like: Likeness | None
) -> None:
    assert likeness(ordered, done) == like


def test_a_fresh_injury_makes_an_earlier_ct_old_sooner() -> None:
    assert facts(Ordered(PLAIN_HEAD), earlier(days=5))["age-within"] == "for"
    assert facts(Ordered(PLAIN_HEAD, diagnoses=("S06.0",)), earlier(days=5))["age-past"] == "against"
    assert facts(Ordered(PLAIN_HEAD), earlier(days=31))["age-past"] == "against"
    assert facts(Ordered(PLAIN_HEAD), replace(earlier(), performed=None))["age-unknown"] == "against"
    assert facts(Ordered(PLAIN_HEAD), earlier(days=-2))["age-future"] == "against"


def test_what_speaks_for_and_against_is_said_of_both() -> None:
    big, small = by_service_code("18.0165.0043"), by_service_code("18.0149.0040")
    thick = (Series(f"{UID}.1", "CT", slice_thickness=5.0), Series(f"{UID}.2", "CT", slice_thickness=10.0))
    told = facts(Ordered(PLAIN_HEAD, big), earlier(series=thick, service=small))
    assert told["slices"] == "against" and told["scanner-lower"] == "against" and told["images"] == "for"
    assert told["contrast-same-without"] == "for" and told["report-none"] == "against"
    only_report = facts(Ordered(PLAIN_HEAD), replace(earlier(), images=0))
    assert only_report["images-none"] == "against"


def test_the_level_of_the_day_of_performance_is_told_and_speaks_for_nothing() -> None:
    levels = {BAC_NINH: (QualityLevel("4", NOW - timedelta(days=400), NOW - timedelta(days=1)),)}
    assert facts(Ordered(PLAIN_HEAD), earlier(days=5), levels)["quality-level"] == "open"
    assert "quality-level" not in facts(Ordered(PLAIN_HEAD), earlier(days=0.5), levels)


def test_what_may_stand_in_comes_first_then_the_newest() -> None:
    order = [earlier(days=400), earlier(CONTRAST_HEAD, days=1), earlier(days=20), earlier(days=3)]
    found = done_before(Ordered(PLAIN_HEAD), order, TABLE, {}, now=NOW)
    assert [match.age_days for match in found] == [3, 20, 400, 1]


def test_a_report_and_its_images_are_one_examination() -> None:
    patient = PatientIdentifier("urn:oid:2.25.27001.1", "BA-1")
    images = tuple(
        Instance(f"{UID}.1.{n}", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1", "a" * 64, 1) for n in (1, 2)
    )
    study = Study(
        "s1", UID, patient, "r1", NOW, description="HEAD", series=(Series(f"{UID}.1", "CT", instances=images),)
    )
    report = DocumentEntry(
        "d1", "urn:uuid:1", "2.25.2", patient, "r1", Attachment("text/plain", 1, "a" * 40, ""),
        events=(CodedValue("18.0149.0040", SERVICE_CODE),),
        references=(PatientIdentifier(DICOM_UID, f"urn:oid:{UID}"),),
    )  # fmt: skip
    (one,) = bring_together([listed(study)], [report], here=BACH_MAI)
    assert (one.images, one.ids, one.home) == (2, ("s1", "d1"), BACH_MAI)
    assert one.examination == PLAIN_HEAD and one.service is not None and one.service.rows == "1-32"
    assert not one.series[0].instances


def test_a_new_version_of_the_table_holds_from_its_day() -> None:
    text = """{"versions": [
        {"version": "2", "status": "in-force", "from": "2027-01-01", "source": "x", "rules": [{"days": 7}]},
        {"version": "1", "status": "assumed", "from": "2026-01-01", "source": "x", "rules": [{"days": 30}]}],
        "reasons": {}}"""
    tables = read_tables(text)
    assert [in_effect(tables, day).version for day in (date(2025, 1, 1), date(2026, 12, 31), date(2027, 1, 1))] == [
        "1",
        "1",
        "2",
    ]
    for broken in (
        "{}",
        "[]",
        "x",
        '{"versions": [], "reasons": {}}',
        text.replace("7", "-7"),
        text.replace("2027-01-01", "soon"),
    ):
        with pytest.raises(InvalidValue):
            read_tables(broken)
