"""Questions that are answered later: found by their words, answered by their id, gone with their patient."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from adapters.store.unit import Storage
from registry.answers import OutcomeKind
from registry.identifiers import HomeCommunityId
from registry.ports import DeferredQuestion
from tests.adapters.store.samples import NOW

HOME, OTHER = HomeCommunityId("urn:oid:2.25.1"), HomeCommunityId("urn:oid:2.25.2")
QUESTION = DeferredQuestion("q1", HOME, "words", "described", "r1", "x1", NOW + timedelta(hours=1))


def test_a_question_is_found_by_its_words_and_by_its_id_from_who_was_asked(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.deferred.keep(QUESTION)
        assert unit.deferred.put(HOME, "words", now=NOW) == unit.deferred.named("q1", of=HOME, now=NOW) == QUESTION
        for home, mark in ((OTHER, "words"), (HOME, "other words")):
            assert unit.deferred.put(home, mark, now=NOW) is None
        assert unit.deferred.named("q1", of=OTHER, now=NOW) is None
        assert unit.deferred.named("q1", of=HOME, now=QUESTION.expires) is None


def test_a_later_question_in_the_same_words_stands_in_the_place_of_the_first(storage: Storage) -> None:
    answered = replace(QUESTION, outcome=OutcomeKind.WITHHELD, answer="digest", acknowledged=True)
    with storage.begin() as unit:
        unit.deferred.keep(answered)
        assert unit.deferred.named("q1", of=HOME, now=NOW) == answered
        unit.deferred.keep(replace(QUESTION, id="q2"))
        assert unit.deferred.named("q1", of=HOME, now=NOW) is None
        unit.deferred.drop(replace(QUESTION, home=OTHER, id="q2"))
        assert unit.deferred.put(HOME, "words", now=NOW) is not None
        unit.deferred.drop(replace(QUESTION, id="q2"))
        assert unit.deferred.put(HOME, "words", now=NOW) is None


def test_it_goes_with_its_time_and_with_its_patient(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.deferred.keep(QUESTION)
        unit.deferred.keep(replace(QUESTION, id="q2", fingerprint="2", record_id="r2"))
        assert unit.erasing.erase("r1") == 1
        assert unit.deferred.forget_before(NOW) == 0
        assert unit.deferred.forget_before(QUESTION.expires + timedelta(seconds=1)) == 1
