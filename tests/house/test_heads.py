"""Promise 4 against whoever owns the whole machine: other hospitals hold what was, and say so."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import text

from adapters.store.rows import moment
from adapters.trust import seals
from adapters.trust.losses import Loss, write_answer
from consent.requesters import Role
from consent.verification import Verification
from hie_node import witness
from hie_node.exporting import export_record
from hie_node.flows import audit
from hie_node.flows.heads import ask_keepers, offer_head
from hie_node.flows.losses import answer_losses
from hie_node.flows.reconcile import reconcile
from hie_node.returning import before_serving
from registry.errors import InvalidValue, NotFound
from tests.house.test_on_record import as_owner_of_the_database
from tests.lab import Hospital, Lab
from tests.papers import LAN, STRANGER, ct_report, written_request

ROOT = Path(__file__).parents[2]


def _verifier() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify_record", ROOT / "deploy" / "verify_record.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VERIFIER = _verifier()


def _with_a_record(hospital: Hospital, rows: int = 3) -> None:
    hospital.publishes(ct_report(LAN))
    for _ in range(rows):
        hospital.finds_own_documents(LAN)
    hospital.seals()


def _verified(hospital: Hospital) -> Verification:
    return audit.verify(hospital.house, ask_keepers(hospital.house))


def _cut_off(hospital: Hospital, size: int) -> None:
    """As somebody with all rights on the machine does it: rows, seals, and the head kept beside the keys."""
    with as_owner_of_the_database(hospital) as connection:
        connection.execute(text("DELETE FROM disclosure WHERE position >= :s OR position IS NULL"), {"s": size})
        connection.execute(text("DELETE FROM seal WHERE size > :s"), {"s": size})
    with hospital.house.storage.read() as unit:
        last = unit.disclosures.last_seal()
    assert last is not None
    witness.keep(hospital.house, last)


def test_a_record_whose_end_was_cut_off_with_all_that_the_machine_remembers_is_found(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    _with_a_record(bac_ninh)
    with bac_ninh.house.storage.read() as unit:
        before = unit.disclosures.last_seal()
    assert before is not None
    _with_a_record(bac_ninh)
    assert offer_head(bac_ninh.house) == 1 and offer_head(bac_ninh.house) == 0
    assert _verified(bac_ninh).findings == () and _verified(bac_ninh).kept == 1
    _cut_off(bac_ninh, before.size)
    assert bac_ninh.verifies().findings == (), "by itself the machine cannot know"
    (found,) = _verified(bac_ninh).findings
    assert bach_mai.facility in found.text
    assert offer_head(bac_ninh.house) == 0, "nobody signs for a shorter record"
    for hospital, kind in ((bach_mai, "head-conflict"), (bac_ninh, "own-record-conflict")):
        with hospital.house.storage.read() as unit:
            assert [alarm.kind for alarm in unit.alarms.open()] == [kind]


def test_a_record_that_grew_again_after_it_was_cut_off_is_found(lab: Lab) -> None:
    bac_ninh, _ = lab.hospitals("bac-ninh", "bach-mai")
    _with_a_record(bac_ninh)
    with bac_ninh.house.storage.read() as unit:
        size = unit.disclosures.last_seal().size  # type: ignore[union-attr]
    bac_ninh.finds_own_documents(STRANGER)
    bac_ninh.seals()
    assert offer_head(bac_ninh.house) == 1
    _cut_off(bac_ninh, size)
    for _ in range(5):
        bac_ninh.finds_own_documents(LAN)
    bac_ninh.seals()
    assert bac_ninh.verifies().findings == ()
    assert "another head" in _verified(bac_ninh).findings[0].text


def test_a_keeper_that_is_away_is_named_and_stops_nothing(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    _with_a_record(bac_ninh)
    bach_mai.goes_down()
    assert offer_head(bac_ninh.house) == 0
    found = _verified(bac_ninh)
    assert found.findings == () and found.silent == (bach_mai.facility,)
    bach_mai.comes_up()
    lab.clock.moves(by=timedelta(minutes=5))
    assert offer_head(bac_ninh.house) == 1


def test_a_head_is_kept_only_for_the_hospital_that_signed_it(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    _with_a_record(bac_ninh)
    with bac_ninh.house.storage.read() as unit:
        signature = unit.disclosures.last_seal().signature  # type: ignore[union-attr]
    body = {"resourceType": "Parameters", "parameter": [{"name": "head", "valueString": signature}]}
    answer = bach_mai.calls(bac_ninh, "POST", "/fhir/AuditEvent/$keep-head", body=json.dumps(body).encode())
    assert answer.status == 403
    with bac_ninh.house.storage.read() as unit:
        assert unit.heads.of(bach_mai.home, most=9) == () and unit.heads.of(bac_ninh.home, most=9) == ()


def test_keeping_heads_for_each_other_comes_to_rest(lab: Lab) -> None:
    """An exchange of heads is about nobody and adds no row, or two records would make each other grow for ever."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    for hospital in (bac_ninh, bach_mai):
        _with_a_record(hospital)
    rows = [len(hospital.record) for hospital in (bac_ninh, bach_mai)]
    for _ in range(2):
        for hospital in (bac_ninh, bach_mai):
            offer_head(hospital.house)
            hospital.seals()
    assert [len(hospital.record) for hospital in (bac_ninh, bach_mai)] == rows


def test_the_largest_head_of_each_day_is_kept_for_ever(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    for _ in range(3):
        for _ in range(2):
            _with_a_record(bac_ninh, rows=1)
            offer_head(bac_ninh.house)
        lab.clock.moves(by=timedelta(days=1))
    with bach_mai.house.storage.begin() as unit:
        assert len(unit.heads.of(bac_ninh.home, most=99)) == 6
        assert unit.heads.thin(lab.clock()) == 3
        assert unit.heads.thin(lab.clock()) == 0
    assert _verified(bac_ninh).findings == () and _verified(bac_ninh).kept == 3


def test_a_cosignature_is_of_this_head_and_this_keeper(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    head = seals.Head(bac_ninh.home, 7, "ab" * 32, lab.clock())
    jws = seals.cosign(bach_mai.house.keys, head, keeper=bach_mai.home, now=lab.clock())
    keys = bach_mai.house.keys.ever()
    seals.check_cosignature(jws, head, keeper=bach_mai.home, keys=keys)
    for other, keeper, signers in (
        (replace(head, size=8), bach_mai.home, keys),
        (replace(head, root="cd" * 32), bach_mai.home, keys),
        (replace(head, home=bach_mai.home), bach_mai.home, keys),
        (head, bac_ninh.home, keys),
        (head, bach_mai.home, bac_ninh.house.keys.ever()),
    ):
        with pytest.raises(seals.SealBroken):
            seals.check_cosignature(jws, other, keeper=keeper, keys=signers)


# -- the exported record, and who verifies it without us


def _exported(lab: Lab, folder: Path) -> tuple[Hospital, Hospital, Path]:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    for _ in range(2):
        _with_a_record(bac_ninh)
    offer_head(bac_ninh.house)
    export_record(bac_ninh.house, folder / "export")
    return bac_ninh, bach_mai, folder / "export"


def test_an_authority_finds_whatever_was_done_to_an_exported_record(lab: Lab, tmp_path: Path) -> None:
    bac_ninh, _, export = _exported(lab, tmp_path / "for-them")
    assert VERIFIER.verify(export) == ([], len(bac_ninh.record), 4)
    for alteration, alter in TO_FILES.items():
        altered = tmp_path / alteration
        shutil.copytree(export, altered)
        alter(altered)
        wrong, _, _ = VERIFIER.verify(altered)
        assert wrong, alteration


def _rows(folder: Path, change: Callable[[list[bytes]], None], name: str = "rows.jsonl") -> None:
    lines = (folder / name).read_bytes().splitlines(keepends=True)
    change(lines)
    (folder / name).write_bytes(b"".join(lines))


def _cut(folder: Path) -> None:
    """Rows and seals cut alike, and the head that the answer of the keeper holds left out."""
    seal = json.loads(VERIFIER.unpacked((folder / "seals.jsonl").read_text().splitlines()[0].split(".")[1]))
    _rows(folder, lambda rows: rows.__delitem__(slice(seal["size"], None)))
    _rows(folder, lambda rows: rows.__delitem__(slice(1, None)), "seals.jsonl")


TO_FILES: dict[str, Callable[[Path], None]] = {
    "edited": lambda f: _rows(f, lambda r: r.__setitem__(1, r[1].replace(b"BS. Minh", b"BS. Khac"))),
    "a space more": lambda f: _rows(f, lambda r: r.__setitem__(1, r[1].replace(b"{", b"{ ", 1))),
    "deleted": lambda f: _rows(f, lambda r: r.pop(2)),
    "inserted": lambda f: _rows(f, lambda r: r.insert(2, r[1])),
    "reordered": lambda f: _rows(f, lambda r: r.insert(0, r.pop(3))),
    "the last row cut off": lambda f: _rows(f, lambda r: r.pop()),
    "one put behind the end": lambda f: _rows(f, lambda r: r.append(r[0])),
    "the end cut off, seals too": _cut,
    "a seal left out and a row edited": lambda f: (
        _rows(f, lambda s: s.pop(0), "seals.jsonl"),
        _rows(f, lambda r: r.__setitem__(0, r[0].replace(b"BS. Minh", b"BS. Khac").replace(b'"C"', b'"R"'))),
    )[0],
    "seals exchanged": lambda f: _rows(f, lambda s: s.reverse(), "seals.jsonl"),
    "another key": lambda f: _json(f, "keys.json", lambda d: d["keys"][0].update(x=d["keys"][0]["y"])),
    "of another hospital": lambda f: _json(f, "about.json", lambda d: d.update(home="urn:oid:1.2.3")),
    "a keeper's keys exchanged": lambda f: _json(f, "peers.json", lambda d: d.clear()),
}


def _json(folder: Path, name: str, change: Callable[[dict[str, object]], object]) -> None:
    document = json.loads((folder / name).read_text("utf-8"))
    change(document)
    (folder / name).write_text(json.dumps(document), "utf-8")


def test_heads_that_the_hospital_left_out_come_from_the_hospital_that_keeps_them(lab: Lab, tmp_path: Path) -> None:
    bac_ninh, bach_mai, export = _exported(lab, tmp_path)
    _cut(export)
    (export / "kept.jsonl").write_text("")
    assert VERIFIER.verify(export)[0] == []
    with bach_mai.house.storage.read() as unit:
        kept = unit.heads.of(bac_ninh.home, most=10)
    theirs = tmp_path / "from-bach-mai.jsonl"
    theirs.write_text("".join(json.dumps({"keeper": "bach-mai", "head": head}) + "\n" for head in kept))
    assert VERIFIER.verify(export, [theirs])[0]


def test_a_record_signed_with_keys_that_nobody_knows_is_said(lab: Lab, tmp_path: Path) -> None:
    bac_ninh, _, export = _exported(lab, tmp_path)
    known = [VERIFIER.thumbprint(key) for key in bac_ninh.house.keys.ever()]
    assert VERIFIER.verify(export, trusted=known)[0] == []
    assert VERIFIER.verify(export, trusted=["00" * 32])[0]


# -- both sides of the same exchanges


def _reconciled(asker: Hospital, holder: Hospital) -> list[tuple[str, int, bool]]:
    now = asker.house.now()
    result = reconcile(asker.house, holder.peer, since=now - timedelta(hours=1), until=now + timedelta(minutes=1))
    return [(one.kind, one.items, one.serious) for one in result.differences]


def _exchanged(lab: Lab) -> tuple[Hospital, Hospital]:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bach_mai.registers(LAN)
    report = bac_ninh.publishes(ct_report(LAN))
    bach_mai.finds_documents(LAN)
    bach_mai.records(written_request(LAN, to="bach-mai"))
    bach_mai.finds_documents(LAN)
    bach_mai.fetches(report)
    bach_mai.finds_documents(STRANGER)
    return bac_ninh, bach_mai


def test_two_honest_records_are_alike(lab: Lab) -> None:
    bac_ninh, bach_mai = _exchanged(lab)
    assert _reconciled(bach_mai, bac_ninh) == []
    assert _reconciled(bac_ninh, bach_mai) == []
    bac_ninh.goes_down()
    bach_mai.finds_documents(LAN)
    bac_ninh.comes_up()
    assert _reconciled(bach_mai, bac_ninh) == [], "a question that nobody answered left nothing there"


def test_what_was_asked_for_and_refused_was_shown_by_neither_record(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    consent = bac_ninh.records(written_request(LAN, to="bach-mai"))
    assert report in bach_mai.finds_documents(LAN)
    bac_ninh.withdraws(consent)
    assert bach_mai.fetches(report).status == 404
    assert bach_mai.rows(direction="asked", transaction="ITI-68")[-1].items
    assert _reconciled(bach_mai, bac_ninh) == []


def _edited(hospital: Hospital, condition: str, old: str, new: str) -> None:
    with as_owner_of_the_database(hospital) as connection:
        connection.execute(
            text(f"UPDATE disclosure SET body = replace(body, :old, :new) WHERE {condition}"), {"old": old, "new": new}
        )


def test_what_one_side_left_out_or_wrote_otherwise_is_named(lab: Lab) -> None:
    bac_ninh, bach_mai = _exchanged(lab)
    received = bach_mai.rows(direction="received", transaction="ITI-67")[-2]
    with as_owner_of_the_database(bac_ninh) as connection:
        connection.execute(text("DELETE FROM disclosure WHERE body LIKE :e"), {"e": f"%{received.exchange}%"})
    assert _reconciled(bach_mai, bac_ninh) == [("not-recorded-there", 1, True)]
    _edited(bach_mai, "body LIKE '%ITI-68%'", "bs.minh", "bs.khac")
    kinds = {kind for kind, _, _ in _reconciled(bach_mai, bac_ninh)}
    assert kinds == {"not-recorded-there", "another-person"}
    with as_owner_of_the_database(bach_mai) as connection:
        connection.execute(text("DELETE FROM disclosure WHERE body LIKE '%ITI-68%'"))
    assert {kind for kind, _, _ in _reconciled(bach_mai, bac_ninh)} == {"not-recorded-there", "not-recorded-here"}


def test_nothing_of_a_patient_or_a_person_is_in_what_is_compared(lab: Lab) -> None:
    bac_ninh, bach_mai = _exchanged(lab)
    now = lab.clock()
    period = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "since", "valueInstant": (now - timedelta(hours=1)).isoformat()},
            {"name": "until", "valueInstant": (now + timedelta(hours=1)).isoformat()},
        ],
    }
    answer = bach_mai.calls(bac_ninh, "POST", "/fhir/AuditEvent/$exchanges", body=json.dumps(period).encode())
    assert answer.status == 200 and b"exchange" in answer.body
    secrets = [LAN.number_at("bac-ninh"), "bs.minh", "BS. Minh", *(v for _, v in LAN.numbers)]
    secrets += [item for row in bac_ninh.record for item in row.items]
    assert [secret for secret in secrets if secret.encode() in answer.body] == []


def test_a_hospital_is_told_of_its_own_questions_only(lab: Lab) -> None:
    bac_ninh, _ = _exchanged(lab)
    (thai_nguyen,) = lab.hospitals("thai-nguyen")
    assert (
        reconcile(
            thai_nguyen.house, bac_ninh.peer, since=lab.clock() - timedelta(1), until=lab.clock() + timedelta(1)
        ).there
        == 0
    )


@pytest.mark.parametrize(
    "parameters",
    [[], [{"name": "since", "valueInstant": "x"}], [{"name": "since", "valueInstant": "2026-01-01T00:00:00"}] * 2],
)
def test_a_period_that_is_none_is_refused(lab: Lab, parameters: list[object]) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    body = json.dumps({"resourceType": "Parameters", "parameter": parameters}).encode()
    assert bach_mai.calls(bac_ninh, "POST", "/fhir/AuditEvent/$exchanges", body=body).status in (400, 422)


# ---- a loss and who answers for it ----


def _shortened(hospital: Hospital) -> int:
    """By who can write to the database alone: rows and seals of the end are gone. Returns what is left."""
    _with_a_record(hospital)
    with hospital.house.storage.read() as unit:
        size = unit.disclosures.last_seal().size  # type: ignore[union-attr]
    _with_a_record(hospital)
    offer_head(hospital.house)
    with as_owner_of_the_database(hospital) as connection:
        connection.execute(text("DELETE FROM disclosure WHERE position >= :s OR position IS NULL"), {"s": size})
        connection.execute(text("DELETE FROM seal WHERE size > :s"), {"s": size})
    hospital.lab.clock.moves(by=timedelta(minutes=1))
    return size


def test_a_cut_stays_found_when_the_node_goes_on_sealing_and_no_other_hospital_knows(lab: Lab) -> None:
    bac_ninh = lab.hospital("bac-ninh")
    _shortened(bac_ninh)
    for _ in range(9):
        bac_ninh.finds_own_documents(LAN)
        bac_ninh.seals()
    assert bac_ninh.verifies().findings
    with bac_ninh.house.storage.read() as unit:
        assert [alarm.kind for alarm in unit.alarms.open()] == ["own-record-conflict"]


@pytest.mark.parametrize("how", ["started again", "written into the database", "with somebody else's signature"])
def test_a_cut_does_not_become_a_loss_that_is_explained(lab: Lab, how: str) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    size = _shortened(bac_ninh)
    if how == "started again":
        before_serving(bac_ninh.house)
        assert len(bac_ninh.rows(transaction="restore")) == 1, "it asked for the withdrawals that it may have lost"
    else:
        when, keys = lab.clock(), bach_mai.house.keys
        loss = Loss(when, size, "bv.lan", "khôi phục từ bản sao lưu")
        answer = write_answer(keys, loss, home=bac_ninh.home, now=when) if how.startswith("with") else None
        row = {"r": moment(when), "k": size, "a": answer}
        with as_owner_of_the_database(bac_ninh) as connection:
            connection.execute(text("INSERT INTO restore VALUES (:r, :k, :r, :a)"), row)
    for _ in range(9):
        bac_ninh.finds_own_documents(LAN)
    bac_ninh.seals()
    assert bac_ninh.verifies().findings, "by the head beside the keys"
    found = _verified(bac_ninh)
    assert any(bach_mai.facility in one.text and "nobody answers" in one.text for one in found.findings)
    assert found.notes == ()


def test_the_officer_answers_for_a_loss_and_for_no_later_one(lab: Lab) -> None:
    bac_ninh, _ = lab.hospitals("bac-ninh", "bach-mai")
    _shortened(bac_ninh)
    before_serving(bac_ninh.house)
    for role, because in ((Role.ADMINISTRATOR, "đĩa hỏng, khôi phục"), (Role.DATA_PROTECTION_OFFICER, "đĩa")):
        with pytest.raises(InvalidValue):
            answer_losses(bac_ninh._act("hie audit", role), because=because)
    answer_losses(bac_ninh._act("hie audit", Role.DATA_PROTECTION_OFFICER), because="đĩa hỏng, khôi phục từ bản sao")
    answered = bac_ninh.verifies()
    assert answered.findings == () and answered.unsealed
    bac_ninh.seals()
    found = _verified(bac_ninh)
    assert found.findings == () and len(found.notes) == 1 and "đĩa hỏng" in found.notes[0]
    with pytest.raises(NotFound):
        answer_losses(bac_ninh._act("hie audit", Role.DATA_PROTECTION_OFFICER), because="còn gì nữa không nhỉ")
    bac_ninh.finds_own_documents(LAN)
    bac_ninh.seals()
    offer_head(bac_ninh.house)
    lab.clock.moves(by=timedelta(minutes=1))
    _shortened(bac_ninh)
    bac_ninh.seals()
    assert _verified(bac_ninh).findings


def test_after_an_answer_the_rest_of_the_record_has_to_hold_at_once(lab: Lab) -> None:
    bac_ninh = lab.hospital("bac-ninh")
    _shortened(bac_ninh)
    before_serving(bac_ninh.house)
    answer_losses(bac_ninh._act("hie audit", Role.DATA_PROTECTION_OFFICER), because="đĩa hỏng, khôi phục từ bản sao")
    with as_owner_of_the_database(bac_ninh) as connection:
        connection.execute(text("DELETE FROM seal"))
        connection.execute(text("UPDATE disclosure SET position = NULL"))
    assert bac_ninh.verifies().findings


@pytest.mark.parametrize("body", ["garbage", "{}", "[]", "null"])
@pytest.mark.parametrize("which", ["max", "min"])
def test_a_spoilt_seal_is_named(lab: Lab, body: str, which: str) -> None:
    bac_ninh = lab.hospital("bac-ninh")
    for _ in range(2):
        _with_a_record(bac_ninh)
    with as_owner_of_the_database(bac_ninh) as connection:
        statement = f"UPDATE seal SET body = :b WHERE size = (SELECT {which}(size) FROM seal)"
        connection.execute(text(statement), {"b": body})
    assert any("cannot be read" in found.text for found in bac_ninh.verifies().findings)


def test_nothing_is_sealed_onto_a_spoilt_seal_and_somebody_is_told(lab: Lab) -> None:
    bac_ninh = lab.hospital("bac-ninh")
    _with_a_record(bac_ninh)
    with as_owner_of_the_database(bac_ninh) as connection:
        connection.execute(text("UPDATE seal SET body = 'garbage'"))
    bac_ninh.registers(LAN)
    assert bac_ninh.seals() == 0
    with bac_ninh.house.storage.read() as unit:
        assert [one.kind for one in unit.alarms.open()] == ["own-record-conflict"]
    assert bac_ninh.finds_own_documents(LAN).status == 200, "care goes on"
