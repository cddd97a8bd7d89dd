"""What registrars said of reports, images and files, on each kind of database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from adapters.store.unit import Storage
from registry.feeds import FileDecision
from registry.pairing import PairDoubt, Verdict
from tests.adapters.store.samples import LATER, NOW, patient

LAN = patient()
DOUBT = PairDoubt("study-1", "report-1", LAN.id, NOW)
OTHER = replace(DOUBT, study_id="study-2")


@pytest.fixture
def kept(storage: Storage) -> Storage:
    with storage.begin() as unit:
        unit.patients.save(LAN)
    return storage


def test_two_are_asked_about_once_until_they_come_apart_again(kept: Storage) -> None:
    with kept.begin() as unit:
        assert unit.pairs.raise_doubt(DOUBT) and unit.pairs.raise_doubt(OTHER)
        assert not unit.pairs.raise_doubt(replace(DOUBT, raised=LATER))
        assert unit.pairs.waiting(10) == unit.pairs.waiting(2) and unit.pairs.how_many_wait() == 2
        assert unit.pairs.beside(DOUBT) == (OTHER,)
        said = replace(DOUBT, verdict=Verdict.APART, decided=LATER, decided_by="tn.tuan")
        unit.pairs.save(said)
        unit.pairs.save(replace(OTHER, verdict=Verdict.OVERTAKEN))
        assert not unit.pairs.raise_doubt(DOUBT), "a person has spoken"
        assert unit.pairs.raise_doubt(OTHER), "what was settled by something else may be open again"
    with kept.read() as unit:
        assert unit.pairs.one(DOUBT.id) == said and unit.pairs.decided(5) == (said,)
        assert unit.pairs.reports_apart_from("study-1") == {"report-1"}
        assert unit.pairs.reports_apart_from("study-2") == frozenset()
        assert unit.pairs.apart_of_reports(["report-1", "report-2"]) == (said,)


def test_a_file_is_decided_by_whoever_comes_first(kept: Storage) -> None:
    def decides(author: str) -> bool:
        with kept.begin() as unit:
            return unit.file_decisions.decide(FileDecision("f1", "kq.pdf", NOW, author, LAN.id))

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(decides, ("a", "b", "c", "d"))) == [False, False, False, True]
    with kept.read() as unit:
        assert list(unit.file_decisions.of(["f1", "f2"])) == ["f1"] and len(unit.file_decisions.latest(5)) == 1


def test_what_was_said_goes_with_the_patient(kept: Storage) -> None:
    with kept.begin() as unit:
        unit.pairs.raise_doubt(DOUBT)
        unit.file_decisions.decide(FileDecision("f1", "Nguyễn Thị Lan.pdf", NOW, "tn.tuan", LAN.id))
        unit.file_decisions.decide(FileDecision("f2", "la.pdf", NOW, "tn.tuan"))
        assert unit.erasing.erase(LAN.id) >= 2
        assert unit.pairs.one(DOUBT.id) is None and unit.file_decisions.one("f1") is None
        rejected = unit.file_decisions.one("f2")
    assert rejected is not None and rejected.rejected
