"""What is kept beside the record: how each hospital answered, and the verifications that somebody asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from adapters.store import record_checks
from adapters.store.unit import Storage
from consent.verification import Finding, RecordCheck, Verification
from registry.answered import Answered
from registry.answers import OutcomeKind
from registry.identifiers import HomeCommunityId

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
BAC_NINH, BACH_MAI = HomeCommunityId("urn:oid:1.2.3"), HomeCommunityId("urn:oid:1.2.4")


def test_of_each_hospital_the_newest_answers_stay(storage: Storage) -> None:
    told = [
        Answered(home, kind, NOW + timedelta(seconds=n), n / 10)
        for n, kind in enumerate([OutcomeKind.ANSWERED, OutcomeKind.SILENT, OutcomeKind.WITHHELD] * 3)
        for home in (BAC_NINH, BACH_MAI)
    ]
    with storage.begin() as unit:
        unit.peer_answers.add(())
        unit.peer_answers.add(told[:10])
        unit.peer_answers.add(told[10:])
    with storage.read() as unit:
        assert unit.peer_answers.newest(BAC_NINH, 100) == tuple(one for one in told[::-1] if one.home == BAC_NINH)
        assert [one.seconds for one in unit.peer_answers.newest(BACH_MAI, 2)] == [0.8, 0.7]
    with storage.begin() as unit:
        unit.peer_answers.keep(4)
        unit.peer_answers.keep(50)
    with storage.read() as unit:
        for home in (BAC_NINH, BACH_MAI):
            assert [one.seconds for one in unit.peer_answers.newest(home, 100)] == [0.8, 0.7, 0.6, 0.5]


def test_a_verification_is_kept_whole_and_old_ones_go(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = RecordCheck("a", NOW, "bv.lan", "Bùi Ngọc Lan")
    found = Verification(9, 2, 1, (Finding(3, "a row is missing"), Finding(None, "x")), 4, ("27001",), ("a note",))
    with storage.begin() as unit:
        unit.record_checks.save(waiting)
        assert unit.record_checks.check("a") == waiting and unit.record_checks.check("b") is None
        ended = replace(waiting, done=9, total=9, ended=NOW, found=found)
        unit.record_checks.save(ended)
    with storage.read() as unit:
        assert unit.record_checks.newest(5) == (ended,)
    with storage.begin() as unit:
        for number in range(record_checks.KEPT + 5):
            unit.record_checks.save(RecordCheck(f"{number:03}", NOW + timedelta(seconds=number + 1), "bv.lan"))
        kept = unit.record_checks.newest(1000)
    assert record_checks.KEPT <= len(kept) <= record_checks.KEPT + 1
    assert kept[0].id == "104" and waiting.id not in {one.id for one in kept}
