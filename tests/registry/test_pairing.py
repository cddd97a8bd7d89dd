"""A report and its study find each other where the data allow it, and say so where they do not; answers are merged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from registry.answers import Community, CommunityOutcome, OutcomeKind, PeerAnswer, merge
from registry.examinations import Examination
from registry.identifiers import FacilityCode, HomeCommunityId, PatientIdentifier
from registry.pairing import WINDOW, ReportFacts, pair
from registry.studies import Series, Study

NOW = datetime(2026, 5, 3, 2, tzinfo=UTC)
CT_HEAD = Examination("CT", "brain", False)


def study(key: str, **changes: object) -> Study:
    made = Study(
        id=key,
        study_instance_uid=f"1.2.{key}",
        patient=PatientIdentifier("urn:x", "1"),
        record_id="r",
        started=NOW,
        accession_number=f"A{key}",
        examination="CT/brain/plain",
        series=(Series(f"1.2.{key}.1", "CT", 1),),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "studies", "found"),
    [
        (ReportFacts(None, None, None, "1.2.2"), (study("1"), study("2")), "2"),
        (ReportFacts(None, None, "A2"), (study("1"), study("2")), "2"),
        (ReportFacts(None, None, "A1"), (study("1"), study("2", accession_number="A1")), None),
        (ReportFacts(CT_HEAD, NOW), (study("1"),), "1"),
        (ReportFacts(CT_HEAD, NOW + WINDOW), (study("1"),), "1"),
        (ReportFacts(CT_HEAD, NOW + WINDOW + timedelta(seconds=1)), (study("1"),), None),
        (ReportFacts(CT_HEAD, NOW), (study("1"), study("2")), None),
        (ReportFacts(CT_HEAD, NOW), (study("1", series=(Series("1.2.1.1", "MR", 1),)),), None),
        (ReportFacts(CT_HEAD, NOW), (study("1", examination="CT/chest/plain"),), None),
        (ReportFacts(CT_HEAD, NOW), (study("1", examination=None),), "1"),
        (ReportFacts(CT_HEAD, None), (study("1"),), None),
        (ReportFacts(None, NOW), (study("1"),), None),
        (ReportFacts(CT_HEAD, NOW), (study("1", started=None),), None),
        (ReportFacts(CT_HEAD, NOW), (), None),
    ],
)
def test_a_report_finds_its_study_or_says_why_not(
    facts: ReportFacts, studies: tuple[Study, ...], found: str | None
) -> None:
    pairing = pair(facts, studies)
    assert pairing.study_id == found and pairing.reason


def test_answers_are_merged_newest_first_with_every_outcome_once() -> None:
    communities = [Community(HomeCommunityId(f"urn:oid:1.2.{n}"), FacilityCode(f"0000{n}"), str(n)) for n in range(3)]
    kinds = (OutcomeKind.ANSWERED, OutcomeKind.SILENT, OutcomeKind.ANSWERED)
    times = (
        (NOW, NOW - timedelta(days=2)),
        (),
        (NOW - timedelta(days=1), None),
    )
    answers = [
        PeerAnswer(
            CommunityOutcome(community, kind, len(each)),
            tuple(study(f"{place}{n}", started=when) for n, when in enumerate(each)),
        )
        for place, (community, kind, each) in enumerate(zip(communities, kinds, times, strict=True))
    ]
    merged = merge(answers)
    assert [one.id for one in merged.found] == ["00", "20", "01", "21"]
    assert [outcome.community for outcome in merged.outcomes] == communities and not merged.complete
    assert merge(answers[:1]).complete
