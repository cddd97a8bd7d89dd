"""Whatever registrars decide, and in whatever order they take it back: all is again as it was, documents included."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

import pytest

from hie_node.flows.reviews import SAME_PERSON, decide_review, undo_decision, undo_link
from registry.people import Demographics
from tests.house.test_kept_apart import TWIN, act, registers, waiting
from tests.lab import Hospital, Lab
from tests.papers import Person, ct_report

PATIENTS = tuple(Person(f"01{n}", TWIN.name.text if TWIN.name else "", "2019-04-02", "male") for n in range(4))
SAID: tuple[Demographics, ...] = (
    TWIN,
    replace(TWIN, gender="female"),
    replace(TWIN, gender="female", phones=("0105559999",)),
    replace(TWIN, gender="unknown", mothers_name="Phạm Thị Mai"),
)


@dataclass(frozen=True)
class State:
    """Who is whose, what was told about it, what waits, and which documents are found under which patient's number."""

    persons: frozenset[tuple[str, ...]]
    links: frozenset[str]
    waits: frozenset[str]
    documents: tuple[tuple[str, ...], ...]


def state(hospital: Hospital) -> State:
    with hospital.house.storage.read() as unit:
        together: dict[str, list[str]] = {}
        links = set()
        for person, record in unit.patients.everybody():
            together.setdefault(person, []).append(record.id)
            links |= {one.id for one in unit.patients.links_of(person) if one.undone is None}
        waits = frozenset(one.id for one in unit.patients.reviews())
    found = (hospital.finds_own_documents(patient__identifier=number_of(hospital, one)) for one in PATIENTS)
    documents = tuple(tuple(sorted(one.ids)) for one in found)
    return State(frozenset(tuple(sorted(one)) for one in together.values()), frozenset(links), waits, documents)


def number_of(hospital: Hospital, person: Person) -> str:
    local = hospital.number_of(person)
    return f"{local.system}|{local.value}"


@pytest.mark.parametrize("seed", range(3))
def test_decisions_taken_back_in_turn_leave_every_state_as_it_was(lab: Lab, seed: int) -> None:
    (bac_ninh,), rng = lab.hospitals("bac-ninh"), Random(seed)
    for person, said in zip(PATIENTS, SAID, strict=True):
        registers(bac_ninh, bac_ninh.number_of(person).value, said)
        bac_ninh.publishes(ct_report(person, f"Phim của {person.key}"))
    before: list[tuple[str, bool, State]] = []
    merged = 0
    for _ in range(5):
        doubts = waiting(bac_ninh)
        if not doubts:
            break
        doubt, same = rng.choice(doubts), rng.random() < 0.7
        before.append((doubt.id, same, state(bac_ninh)))
        merged += decide_review(act(bac_ninh), doubt.id, same=same) == SAME_PERSON
    assert len(before) >= 2, "there has to be something to decide"
    for doubt_id, same, was in reversed(before):
        made = standing(bac_ninh, doubt_id)
        if same and made and rng.random() < 0.5:
            undo_link(act(bac_ninh), rng.choice(made))
        else:
            undo_decision(act(bac_ninh), doubt_id)
        assert state(bac_ninh) == was


def standing(hospital: Hospital, doubt_id: str) -> list[str]:
    """The links that this decision made."""
    with hospital.house.storage.read() as unit:
        everybody = {person for person, _ in unit.patients.everybody()}
        links = [one for person in everybody for one in unit.patients.links_of(person)]
    return sorted(one.id for one in links if one.decision == doubt_id and one.undone is None)
