"""Consents, receipts, the record of disclosures and spent tokens, on each kind of database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from adapters.store.engine import make_engine
from adapters.store.unit import Storage
from consent.errors import InvalidReceipt, TokenReplayed
from consent.merkle import Frontier
from consent.ports import KeptReceipt, Seal
from registry.errors import VersionConflict
from tests.adapters.store.samples import (
    BAC_NINH,
    BACH_MAI,
    LATER,
    NOW,
    consent,
    disclosure,
    id_of,
    patient,
    receipt,
)


def test_every_version_of_a_consent_is_kept(storage: Storage) -> None:
    withdrawn = replace(consent(), status="inactive", version=2)
    with storage.begin() as unit:
        unit.patients.save(patient())
        unit.consents.save(consent())
        unit.consents.save(withdrawn)
    with storage.read() as unit:
        assert unit.consents.consent(consent().id) == withdrawn
        assert unit.consents.version(consent().id, 1) == consent()
        assert unit.consents.of_records((patient().id, "nobody")) == (withdrawn,)
        assert unit.consents.of_records(()) == ()
        assert unit.consents.search(record_ids=None, statuses=("active",), limit=9) == ()
        assert unit.consents.search(record_ids=(patient().id,), statuses=None, limit=9) == (withdrawn,)
    with pytest.raises(VersionConflict), storage.begin() as unit:
        unit.consents.save(replace(consent(), given=LATER, version=2))


def test_a_withdrawn_receipt_stays_withdrawn_though_it_comes_again(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.receipts.keep(receipt(), "jws", now=NOW)
        unit.receipts.keep(replace(receipt(), issued=LATER), "newer jws", now=LATER)
        unit.receipts.keep(receipt(), "jws", now=LATER)
        assert unit.receipts.kept(receipt().id) == KeptReceipt(replace(receipt(), issued=LATER), "newer jws")
        assert unit.receipts.withdraw(receipt().id, BACH_MAI, LATER)
        unit.receipts.keep(replace(receipt(), issued=LATER + timedelta(1)), "newest jws", now=LATER)
    with storage.read() as unit:
        kept = unit.receipts.kept(receipt().id)
        assert kept is not None and kept.withdrawn == LATER


def test_a_receipt_is_dead_on_arrival_when_its_withdrawal_was_faster(storage: Storage) -> None:
    with storage.begin() as unit:
        assert not unit.receipts.withdraw(receipt().id, BACH_MAI, LATER)
        assert unit.receipts.kept(receipt().id) is None
    with storage.begin() as unit:
        unit.receipts.keep(receipt(), "jws", now=NOW)
        kept = unit.receipts.kept(receipt().id)
        assert kept is not None and kept.withdrawn == LATER


def test_only_the_signer_withdraws_a_receipt_before_and_after_it_came(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.receipts.withdraw(receipt().id, BAC_NINH, NOW)
        unit.receipts.keep(receipt(), "jws", now=NOW)
        assert not unit.receipts.withdraw(receipt().id, BAC_NINH, LATER)
        kept = unit.receipts.kept(receipt().id)
        assert kept is not None and kept.withdrawn is None
        with pytest.raises(InvalidReceipt):
            unit.receipts.keep(receipt(signer=BAC_NINH), "forged", now=NOW)


def test_who_has_a_receipt_is_remembered(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.receipts.sent(receipt().id, [BACH_MAI, BAC_NINH])
        unit.receipts.sent(receipt().id, [BACH_MAI])
        assert unit.receipts.holders_of(receipt().id) == (BAC_NINH, BACH_MAI)


def test_a_token_is_spent_once_and_the_refusal_can_be_recorded(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.tokens.spend("bach-mai", "t1", expires=LATER)
        unit.tokens.spend("bac-ninh", "t1", expires=LATER)
    with storage.begin() as unit:
        with pytest.raises(TokenReplayed):
            unit.tokens.spend("bach-mai", "t1", expires=LATER)
        unit.disclosures.add(disclosure("refused"))
    with storage.begin() as unit:
        assert unit.disclosures.count() == 1
        assert unit.tokens.forget_before(LATER) == 0
        assert unit.tokens.forget_before(LATER + timedelta(seconds=1)) == 2
        unit.tokens.spend("bach-mai", "t1", expires=LATER)


def test_a_token_of_a_unit_that_failed_was_not_spent(storage: Storage) -> None:
    with pytest.raises(ZeroDivisionError), storage.begin() as unit:
        unit.tokens.spend("bach-mai", "t1", expires=LATER)
        raise ZeroDivisionError
    with storage.begin() as unit:
        unit.tokens.spend("bach-mai", "t1", expires=LATER)


def test_disclosures_answer_who_saw_what_newest_first(storage: Storage) -> None:
    first, second = disclosure("1"), disclosure("2", recorded=LATER)
    nobody = replace(disclosure("3"), record_id=None, patient=None)
    with storage.begin() as unit:
        for one in (first, second, nobody):
            unit.disclosures.add(one)
    with storage.read() as unit:
        assert unit.disclosures.disclosure(first.id) == first
        assert unit.disclosures.search(record_ids=(patient().id,)) == (second, first)
        assert unit.disclosures.search(since=LATER) == (second,)
        assert unit.disclosures.search(until=LATER, limit=1) == (nobody,)
        assert unit.disclosures.count() == 3


def seal_of(storage: Storage, limit: int) -> None:
    with storage.begin() as unit:
        rows = unit.disclosures.unsealed(limit)
        last = unit.disclosures.last_seal()
        frontier = (last.frontier if last else Frontier()).append(leaf for _, leaf in rows)
        unit.disclosures.add_seal(Seal(frontier.size, frontier, NOW, "signature"), [number for number, _ in rows])


def test_sealed_rows_prove_the_seal(storage: Storage) -> None:
    for key in range(5):
        with storage.begin() as unit:
            unit.disclosures.add(disclosure(str(key)))
    seal_of(storage, 3)
    seal_of(storage, 3)
    with storage.read() as unit:
        rows = list(unit.disclosures.sealed_rows(0, 5))
        last = unit.disclosures.last_seal()
        assert [place for place, _ in rows] == [0, 1, 2, 3, 4]
        assert last is not None and last.size == 5
        assert Frontier().append(row.leaf() for _, row in rows) == last.frontier
        assert [seal.size for seal in unit.disclosures.seals()] == [3, 5]
        assert unit.disclosures.unsealed(9) == ()
        assert [place for place, _ in unit.disclosures.sealed_rows(2, 4)] == [2, 3]


def test_two_sealers_do_not_seal_the_same_rows(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.disclosures.add(disclosure("1"))
        rows = unit.disclosures.unsealed(9)
    seal = Seal(1, Frontier().append(leaf for _, leaf in rows), NOW, "signature")
    numbers = [number for number, _ in rows]
    with storage.begin() as unit:
        unit.disclosures.add_seal(seal, numbers)
    with pytest.raises(VersionConflict), storage.begin() as unit:
        unit.disclosures.add_seal(seal, numbers)
    with pytest.raises(VersionConflict), storage.begin() as unit:
        unit.disclosures.add_seal(replace(seal, size=2), numbers)


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE FROM disclosure",
        "UPDATE disclosure SET body = '{}'",
        "UPDATE disclosure SET record_id = NULL",
        "UPDATE disclosure SET recorded = ''",
        "UPDATE disclosure SET position = 7",
        "DELETE FROM seal",
        "UPDATE seal SET body = '{}'",
    ],
)
def test_the_database_itself_refuses_to_change_a_disclosure(database_url: str, attack: str) -> None:
    engine = make_engine(database_url)
    storage = Storage(engine)
    with storage.begin() as unit:
        unit.disclosures.add(disclosure("1"))
    seal_of(storage, 9)
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text(attack))
    with storage.read() as unit:
        assert unit.disclosures.disclosure(id_of("disclosure 1")) == disclosure("1")
    storage.close()
