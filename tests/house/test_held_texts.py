"""Free text that hints at what the law closes: held back, read by a person, released or kept, and taken back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consent.errors import ReleaseRefused
from consent.held_texts import Finding
from consent.requesters import Role
from hie_node.acts import Act
from hie_node.flows.held_texts import decide_text, held_text, waiting
from hie_node.publishing import publisher
from registry.documents import DocumentStatus
from registry.errors import NotFound
from tests.lab import Hospital, Lab
from tests.papers import HOA, LAN, closed_report, ct_report, unreviewed_report, written_request

READER = Role.DOCTOR


def act(node: Hospital, role: Role = READER) -> Act:
    return Act(node.house, replace(publisher(node.house, "desk"), requester=node.requester(role)), "page read-text")


def held(node: Hospital) -> list[str]:
    return [one.entry.id for one in waiting(act(node)).held]


def test_what_somebody_released_is_shown_and_what_somebody_closed_is_not(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    plain, text = bac_ninh.publishes(ct_report(LAN)), bac_ninh.publishes(unreviewed_report(LAN))
    other, closed = bac_ninh.publishes(unreviewed_report(HOA)), bac_ninh.publishes(closed_report(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    assert set(held(bac_ninh)) == {text.id, other.id}

    def shown() -> set[str]:
        return {one.rpartition(".")[2] for one in bach_mai.finds_documents(LAN).ids}

    assert shown() == {plain.id}
    decide_text(act(bac_ninh), text.id, Finding.OPEN)
    assert shown() == {plain.id, text.id} and held(bac_ninh) == [other.id]
    assert bach_mai.fetches(bach_mai.finds_documents(LAN).ids[0]).status == 200
    decide_text(act(bac_ninh), text.id, Finding.CLOSED)
    assert shown() == {plain.id} and held(bac_ninh) == [other.id]
    decide_text(act(bac_ninh), text.id, Finding.HELD)
    assert shown() == {plain.id} and set(held(bac_ninh)) == {text.id, other.id}
    with pytest.raises(NotFound):
        decide_text(act(bac_ninh), closed.id, Finding.OPEN)
    assert shown() == {plain.id}


def test_the_same_text_again_keeps_what_was_found_and_another_text_is_held_again(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    report = unreviewed_report(LAN)
    text = node.publishes(report)
    decide_text(act(node), text.id, Finding.OPEN)
    assert node.publishes(report).id == text.id and held(node) == []
    again = node.publishes(replace(report, text=report.text + " Xem thêm."))
    assert held(node) == [again.id]
    decide_text(act(node), again.id, Finding.CLOSED)
    assert held(node) == []


def test_each_look_and_each_answer_is_on_record_with_its_patient(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    text, other = node.publishes(unreviewed_report(LAN)), node.publishes(unreviewed_report(HOA))
    waiting(act(node))
    looked = [row for row in node.record if row.transaction == "page read-text" and row.items]
    assert {(row.patient, row.items) for row in looked} == {
        (node.number_of(LAN), (text.id,)),
        (node.number_of(HOA), (other.id,)),
    }
    assert {tuple(row.reasons) for row in looked} == {("own-hospital",)}
    decide_text(act(node), text.id, Finding.OPEN)
    last = node.record[-1]
    assert (last.direction, last.action, last.patient, last.items) == ("changed", "U", node.number_of(LAN), (text.id,))


@pytest.mark.parametrize("role", [Role.CONSENT_DESK, Role.NURSE, Role.REGISTRAR, Role.ADMINISTRATOR, Role.SYSTEM])
def test_only_a_doctor_and_the_officer_release(lab: Lab, role: Role) -> None:
    node = lab.hospital("bac-ninh")
    text = node.publishes(unreviewed_report(LAN))
    with pytest.raises(ReleaseRefused):
        decide_text(act(node, role), text.id, Finding.OPEN)
    with pytest.raises(ReleaseRefused):
        waiting(act(node, role))
    with pytest.raises(ReleaseRefused):
        held_text(act(node, role), text.id)
    decide_text(act(node, Role.DATA_PROTECTION_OFFICER), text.id, Finding.OPEN)
    assert held(node) == []


def test_the_queue_is_no_way_around_other_doors(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    plain, closed = node.publishes(ct_report(LAN)), node.publishes(closed_report(LAN))
    for document_id in (plain.id, closed.id, "unknown"):
        with pytest.raises(NotFound):
            held_text(act(node), document_id)
        with pytest.raises(NotFound):
            decide_text(act(node), document_id, Finding.OPEN)


def test_a_superseded_text_waits_no_more(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    report = unreviewed_report(LAN)
    first = node.publishes(report)
    with node.house.storage.begin() as unit:
        unit.documents.replace(replace(first, status=DocumentStatus.SUPERSEDED))
    assert held(node) == []
