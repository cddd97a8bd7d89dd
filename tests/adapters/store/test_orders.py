"""What is remembered of other hospitals, cards and decisions, on each kind of database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from adapters.store.unit import Storage
from registry.answers import Community, CommunityOutcome, OutcomeKind
from registry.identifiers import FacilityCode, HomeCommunityId
from registry.ledger import Entry, Told
from registry.memory import Memory, remembered
from tests.adapters.store.samples import LATER, NOW, entry, patient, study

BAC_NINH = Community(HomeCommunityId("urn:oid:2.25.27001"), FacilityCode("27001"), "Bắc Ninh")
TOLD = Told("c1", NOW, "r", "CT/brain/plain", "18.0149.0040", "27001", "27001.d", NOW, True, "order-sign")
USED = Entry("c1", NOW, "used", "CT/brain/plain", "27001", "r", local=550100, lowest=550100)


def answer(kind: OutcomeKind, before: Memory | None = None, *found: object, record_id: str = "r") -> Memory:
    outcome = CommunityOutcome(BAC_NINH, kind, len(found))
    whose = frozenset({record_id})
    return remembered(
        before,
        [outcome],
        found,
        record_id=record_id,
        kind="documents",
        record_ids=whose,
        asker="bs.minh",
        now=NOW,  # type: ignore[arg-type]
    )


def test_what_a_hospital_listed_comes_back_as_it_was_and_without_its_instances(storage: Storage) -> None:
    lan = patient()
    listed = [replace(one, id=f"27001.{one.id}", home=BAC_NINH.home) for one in (entry(), study())]
    memory = answer(OutcomeKind.ANSWERED, None, *listed, record_id=lan.id)
    with storage.begin() as unit:
        unit.patients.save(lan)
        unit.orders.remember(memory)
        unit.orders.remember(memory)
    with storage.read() as unit:
        assert unit.orders.memories([lan.id]) == (memory,) == unit.orders.newest(5)
        assert unit.orders.memory(lan.id, "studies") is None
    kept = memory.heard[0]
    assert [len(kept.documents), len(kept.studies)] == [1, 1]
    assert not any(series.instances for one in kept.studies for series in one.study.series)


def test_silence_keeps_the_last_list_and_a_refusal_takes_it_away() -> None:
    first = answer(OutcomeKind.ANSWERED, None, replace(entry(), home=BAC_NINH.home))
    silent = answer(OutcomeKind.SILENT, first)
    assert silent.heard[0].documents == first.heard[0].documents and silent.heard[0].kind is OutcomeKind.SILENT
    assert answer(OutcomeKind.WITHHELD, silent).heard[0].documents == ()
    assert (
        replace(first, record_ids=frozenset({"other"})).heard
        and not answer(OutcomeKind.SILENT, replace(first, record_ids=frozenset({"other"}))).heard[0].documents
    )


def test_a_card_has_one_decision_and_the_last_counts(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.orders.tell(TOLD)
        unit.orders.decide(USED)
        unit.orders.decide(replace(USED, verdict="repeated", reason="too-old"))
    with storage.read() as unit:
        assert unit.orders.told("c1") == TOLD and unit.orders.told("c2") is None
        assert [one.verdict for one in unit.orders.decisions(NOW, LATER)] == ["repeated"]
        assert unit.orders.decisions(NOW - timedelta(days=1), NOW) == ()


def test_old_cards_go_and_decisions_stay(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.orders.tell(TOLD)
        unit.orders.decide(USED)
        unit.orders.forget_before(answers=LATER, cards=LATER)
        assert unit.orders.told("c1") is None and unit.orders.decision("c1") == USED
