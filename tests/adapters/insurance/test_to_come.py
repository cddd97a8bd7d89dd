"""A time of what has happened that lies ahead is counted and told, and no result is the newest by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from adapters.insurance.submission import Receiver, iter_submissions
from adapters.insurance.to_come import AS_WRITTEN
from registry.identifiers import FacilityCode, HomeCommunityId
from registry.local_time import VIET_NAM
from registry.submissions import Submission
from tests.adapters.insurance.test_reading import VISIT

NOT_USED = "lies after the day the file came; not used as a time"
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


def read(*changes: tuple[str, str], now: datetime = NOW) -> Submission:
    body = VISIT
    for old, new in changes:
        assert old in body
        body = body.replace(old, new)
    here = Receiver(FacilityCode("27001"), "urn:oid:2.25.1", HomeCommunityId("urn:oid:2.25.27001"), now=now)
    (found, *_) = iter_submissions([body.encode()], here)
    assert isinstance(found, Submission)
    return found


def report(submission: Submission) -> tuple[str, datetime | None, datetime | None]:
    one = submission.documents[0]
    return b"".join(one.content.chunks()).decode(), one.entry.start, one.entry.date


def test_a_report_performed_next_year_keeps_the_time_of_its_result_and_says_what_was_written() -> None:
    text, start, date = report(read(("202611020845", "202711020845")))
    assert start is None and date is not None and date.year == 2026
    assert f"Thời điểm thực hiện: 02/11/2027 08:45 {AS_WRITTEN}" in text
    assert f"XML3: NGAY_TH_YL {NOT_USED}" in read(("202611020845", "202711020845")).visit.deviations


def test_where_both_times_lie_ahead_none_is_known() -> None:
    text, start, date = report(read(("202611020845", "202711020845"), ("202611020930", "202711020930")))
    assert (start, date) == (None, None)
    assert text.count(AS_WRITTEN) == 2


def test_a_visit_and_a_birth_that_lie_ahead_are_of_unknown_time() -> None:
    found = read(("<NGAY_VAO>2026", "<NGAY_VAO>2062"), ("196403180000", "204603180000"))
    assert found.visit.admitted is None and found.patient.demographics.birth_date is None
    said = found.visit.deviations
    assert f"XML1: NGAY_VAO {NOT_USED}" in said
    assert "XML1: NGAY_SINH lies after the day the file came; the birth date counts as unknown" in said
    summary = [b"".join(one.content.chunks()).decode() for one in found.documents]
    assert any(f"/2062 07:40 {AS_WRITTEN}" in text for text in summary)


@pytest.mark.parametrize(("hours", "is_used"), [(1, True), (23, True), (25, False)])
def test_a_clock_that_is_fast_by_hours_is_no_fault(hours: int, is_used: bool) -> None:
    performed = datetime(2026, 11, 2, 8, 45, tzinfo=VIET_NAM)
    _, start, _ = report(read(now=performed - timedelta(hours=hours)))
    assert (start == performed) is is_used


def test_what_may_lie_ahead_is_left_alone() -> None:
    found = read(("<NGAY_RA>", "<NGAY_TAI_KHAM>20270501</NGAY_TAI_KHAM><NGAY_RA>"))
    assert not any(NOT_USED in line for line in found.visit.deviations)


def test_read_again_when_the_time_has_come_it_counts() -> None:
    _, start, _ = report(read(("202611020845", "202711020845"), now=datetime(2027, 12, 1, tzinfo=UTC)))
    assert start is not None and start.year == 2027
