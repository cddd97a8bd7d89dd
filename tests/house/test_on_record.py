"""Promise 4: everything disclosed is on record, on both sides, and the record cannot be altered unnoticed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from adapters.store.engine import make_engine
from tests.lab import Hospital, Lab, until
from tests.papers import (
    HOA,
    LAN,
    STRANGER,
    CtStudy,
    closed_report,
    ct_report,
    restricted_report,
    unreviewed_report,
    written_request,
)


def test_both_hospitals_have_every_question_and_answer_under_one_exchange_id(lab: Lab) -> None:
    """Asked, disclosed, received: for a list of documents, of studies, a document and a study."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.registers(LAN)
    bach_mai.registers(LAN)
    report, study = bac_ninh.publishes(ct_report(LAN)), bac_ninh.publishes_study(CtStudy(LAN))
    bach_mai.records(written_request(LAN, to="bach-mai"))
    start = {hospital: len(hospital.record) for hospital in (bac_ninh, bach_mai)}
    acts: dict[str, Callable[[], object]] = {
        "ITI-67": lambda: bach_mai.finds_documents(LAN),
        "ImagingStudy-search": lambda: bach_mai.finds_studies(LAN),
        "ITI-68": lambda: bach_mai.fetches(report),
        "RAD-107": lambda: bach_mai.fetches(study),
    }
    for transaction, act in acts.items():
        act()
        # the holder writes the end of a transfer down when its last byte is gone
        rows = 2 if transaction in ("ITI-68", "RAD-107") else 1
        assert until(lambda wanted=start[bac_ninh] + rows: len(bac_ninh.record) == wanted)
        here, there = bach_mai.record[start[bach_mai] :], bac_ninh.record[start[bac_ninh] :]
        start = {hospital: len(hospital.record) for hospital in (bac_ninh, bach_mai)}
        assert {row.transaction for row in (*here, *there)} == {transaction}
        assert len({row.exchange for row in (*here, *there)}) == 1, transaction
        assert next(row.direction for row in here if row.direction != "disclosed") == "asked"
        assert here[-1].direction == "received" and there[0].direction == "disclosed"
        assert {row.other for row in there} == {bach_mai.home}
        assert all(row.patient == bac_ninh.number_of(LAN) for row in there)
        assert all(row.patient == bach_mai.number_of(LAN) for row in here)
        shown = {item.rpartition(".")[2] for row in here if row.direction == "received" for item in row.items}
        assert shown == {item for row in there for item in row.items} == ({report.id, study.id} & shown)
        assert {row.requester.name for row in there} == {"BS. Minh"}
    exchanges = [row.exchange for row in bac_ninh.rows(other=bach_mai.home, direction="disclosed")]
    assert len(set(exchanges)) == len(acts)


def test_every_refusal_is_on_record_with_its_reason_and_its_patient(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    asked = {
        "no-written-request": lambda: bach_mai.asks(bac_ninh, LAN),
        "not-here": lambda: bach_mai.asks(bac_ninh, STRANGER),
        "not-one-person": lambda: bach_mai.asks(bac_ninh, LAN.question | {"patient.birthdate": HOA.born}),
    }
    for reason, act in asked.items():
        act()
        row = bac_ninh.record[-1]
        assert (row.direction, row.reasons, row.items) == ("refused", {reason: 1}, ())
        assert (row.patient == bac_ninh.number_of(LAN)) == (reason == "no-written-request")
    for path in (f"/fhir/Binary/{report.id}", f"/fhir/DocumentReference/{report.id}"):
        bach_mai.gets(bac_ninh, path)
        row = bac_ninh.record[-1]
        assert (row.direction, row.reasons, row.items) == ("refused", {"no-written-request": 1}, ())
        assert row.patient == bac_ninh.number_of(LAN), "the patient may ask who wanted to see it"


def test_the_reasons_on_record_are_as_many_as_the_decisions(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    for number in range(3):
        bac_ninh.publishes(ct_report(LAN, f"Lần {number}."))
    for closed in (closed_report, unreviewed_report, restricted_report):
        bac_ninh.publishes(closed(LAN))
    consent = bac_ninh.records(written_request(LAN, to="bach-mai"))
    answer = bach_mai.finds_documents(LAN)
    row = bac_ninh.record[-1]
    assert row.reasons == {"written-request": 3, "closed-list": 1, "unreviewed-text": 1, "no-written-request": 1}
    assert len(row.items) == len(answer.ids) == 3 and row.consents == (consent.id,)
    bac_ninh.finds_own_documents(LAN)
    assert bac_ninh.record[-1].reasons == {"own-hospital": 6}
    received = bach_mai.rows(direction="received")[-1]
    assert received.reasons == {"27001:answered": 3} and len(received.items) == 3


def test_an_answer_without_its_record_does_not_leave(lab: Lab) -> None:
    """The record cannot be written: nothing is shown, nothing is stored, at neither side."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    bach_mai.finds_documents(LAN)
    with unwritable(bac_ninh):
        asked = bach_mai.asks(bac_ninh, LAN)
        fetched = bach_mai.gets(bac_ninh, f"/fhir/Binary/{report.id}")
        own = bac_ninh.finds_own_documents(LAN)
        for answer in (asked, fetched, own):
            assert answer.status == 500 and report.id.encode() not in answer.body
        answer = bach_mai.finds_documents(LAN)
        assert answer.lines[str(bac_ninh.home)] == "broken"
        assert bac_ninh.feeds(HOA).status == 500
    assert bac_ninh.finds_own_documents(HOA).ids == [] and len(bac_ninh.holds()) == 1
    with unwritable(bach_mai):
        assert bach_mai.finds_documents(LAN).status == 500
    assert report in bach_mai.finds_documents(LAN)


def test_a_transfer_that_breaks_off_is_recorded_as_broken_off_on_both_sides(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.registers(LAN)
    study = bac_ninh.publishes_study(CtStudy(LAN, count=4, size=3_000_000))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    bach_mai.finds_studies(LAN)
    reply = bach_mai.opens(study)
    next(reply.flowing)
    reply.flowing.close()  # type: ignore[attr-defined] # the doctor closes the page
    assert until(lambda: bool(bac_ninh.rows(transaction="RAD-107", complete=False)))
    here, there = bach_mai.rows(complete=False), bac_ninh.rows(complete=False)
    assert [row.direction for row in here] == ["received"] and [row.direction for row in there] == ["disclosed"]
    assert here[0].exchange == there[0].exchange
    for row in (*here, *there):
        assert row.bytes_sent is not None and 0 < row.bytes_sent < study.size
    whole = bach_mai.fetches(study)
    assert whole.broken is None
    assert until(lambda: bac_ninh.record[-1].bytes_sent == study.size) and bac_ninh.record[-1].complete


def test_content_that_is_damaged_on_the_disk_is_never_taken_for_whole(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN, "x" * 3_000_000))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    bach_mai.finds_documents(LAN)
    place = next(p for p in bac_ninh.house.settings.contents.rglob(report.attachment.content_hash))
    content = bytearray(place.read_bytes())
    content[-100] ^= 1
    place.write_bytes(content)
    fetched = bach_mai.fetches(report)
    assert fetched.broken is not None and len(fetched.body) < 3_000_000
    assert not bach_mai.record[-1].complete
    assert until(lambda: not bac_ninh.rows(transaction="ITI-68")[-1].complete)


# -- altered by somebody who has the database


def test_whatever_is_altered_in_the_record_is_found(lab: Lab) -> None:
    """By somebody with all rights on the database, who switched the triggers off, and then put back again."""
    (bac_ninh,) = lab.hospitals("bac-ninh")
    bac_ninh.publishes(ct_report(LAN))
    for _ in range(2):
        for _ in range(3):
            bac_ninh.finds_own_documents(LAN)
        assert bac_ninh.seals()
    assert bac_ninh.verifies().findings == ()
    before = _everything(bac_ninh)
    for alteration, alter in ALTERATIONS.items():
        with as_owner_of_the_database(bac_ninh) as connection:
            alter(connection)
        assert bac_ninh.verifies().findings, alteration
        _put_back(bac_ninh, before)
        assert bac_ninh.verifies().findings == (), f"put back after: {alteration}"


def test_a_seal_made_with_another_key_is_found(lab: Lab) -> None:
    """Rows rewritten and sealed anew by somebody without this node's key."""
    from consent.merkle import Frontier, leaf_hash
    from hie_node.flows import audit

    bac_ninh, other = lab.hospitals("bac-ninh", "thai-nguyen")
    bac_ninh.publishes(ct_report(LAN))
    bac_ninh.seals()
    with as_owner_of_the_database(bac_ninh) as connection:
        connection.execute(text("DELETE FROM seal"))
        _rewrite(connection, 0, lambda row: row["requester"].update(name="BS. Khác"))
        bodies = connection.execute(text("SELECT body FROM disclosure ORDER BY position")).scalars().all()
        connection.execute(text("UPDATE disclosure SET position = NULL"))
    with bac_ninh.house.storage.begin() as unit:
        forged = audit.seals.seal(
            other.house.keys,
            Frontier().append(leaf_hash(body.encode()) for body in bodies),
            home=bac_ninh.home,
            now=bac_ninh.house.now(),
        )
        unit.disclosures.add_seal(forged, [number for number, _ in unit.disclosures.unsealed(100)])
    assert [finding.text for finding in bac_ninh.verifies().findings if "not ours" in finding.text]


def test_the_database_itself_refuses_to_alter_the_record(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    bac_ninh.publishes(ct_report(LAN))
    bac_ninh.seals()
    engine = make_engine(bac_ninh.house.settings.database_url)
    for statement in ("DELETE FROM disclosure", "UPDATE disclosure SET body = '{}'", "DELETE FROM seal"):
        try:
            with engine.begin() as connection:
                connection.execute(text(statement))
        except Exception as error:  # noqa: BLE001 - each database has its own
            assert "disclos" in str(error)
        else:
            raise AssertionError(statement)
    engine.dispose()
    assert bac_ninh.verifies().findings == ()


@contextmanager
def as_owner_of_the_database(hospital: Hospital) -> Iterator[Connection]:
    """With the triggers off."""
    engine = make_engine(hospital.house.settings.database_url)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            for table in ("disclosure", "seal"):
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        else:
            names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
            for name in names:
                connection.execute(text(f"DROP TRIGGER {name}"))
        yield connection
    engine.dispose()


@contextmanager
def unwritable(hospital: Hospital) -> Iterator[None]:
    """No row can be added to the record of disclosures; everything else can be written."""
    engine = make_engine(hospital.house.settings.database_url)
    on_postgresql = engine.dialect.name == "postgresql"
    action = "EXECUTE FUNCTION refuse_change()" if on_postgresql else "BEGIN SELECT RAISE(ABORT, 'full'); END"
    each = "FOR EACH ROW" if on_postgresql else ""
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TRIGGER full_up BEFORE INSERT ON disclosure {each} {action}"))
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP TRIGGER full_up {'ON disclosure' if on_postgresql else ''}"))
        engine.dispose()


def _rewrite(connection: Connection, position: int, change: Callable[[dict[str, object]], object]) -> None:
    body = connection.execute(text("SELECT body FROM disclosure WHERE position = :p"), {"p": position}).scalar_one()
    row = json.loads(body)
    change(row)
    new = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    connection.execute(text("UPDATE disclosure SET body = :b WHERE position = :p"), {"b": new, "p": position})


def _close_the_gap(connection: Connection) -> None:
    connection.execute(text("DELETE FROM disclosure WHERE position = 3"))
    for position in (
        connection.execute(text("SELECT position FROM disclosure WHERE position > 3 ORDER BY 1")).scalars().all()
    ):
        connection.execute(
            text("UPDATE disclosure SET position = :n WHERE position = :p"), {"n": position - 1, "p": position}
        )


def _exchange(connection: Connection, one: int, other: int) -> None:
    for old, new in ((one, 10_000), (other, one), (10_000, other)):
        connection.execute(text("UPDATE disclosure SET position = :n WHERE position = :o"), {"n": new, "o": old})


def _put_in(connection: Connection, position: int | None) -> None:
    last = connection.execute(text("SELECT max(position) FROM disclosure")).scalar_one()
    if position is not None:
        for old in range(last, position - 1, -1):
            connection.execute(
                text("UPDATE disclosure SET position = :n WHERE position = :o"), {"n": old + 1, "o": old}
            )
    place = last + 1 if position is None else position
    connection.execute(
        text(
            "INSERT INTO disclosure (number, id, record_id, recorded, position, body)"
            " SELECT (SELECT max(number) + 1 FROM disclosure), 'forged', record_id, recorded, :p, body"
            " FROM disclosure WHERE position = 0"
        ),
        {"p": place},
    )


_TABLES = {"disclosure": "number, id, record_id, recorded, position, body, subject, other", "seal": "size, body"}


def _everything(hospital: Hospital) -> dict[str, list[dict[str, object]]]:
    with as_owner_of_the_database(hospital) as connection:
        return {
            table: [dict(row) for row in connection.execute(text(f"SELECT {columns} FROM {table}")).mappings()]
            for table, columns in _TABLES.items()
        }


def _put_back(hospital: Hospital, before: dict[str, list[dict[str, object]]]) -> None:
    with as_owner_of_the_database(hospital) as connection:
        for table, columns in _TABLES.items():
            connection.execute(text(f"DELETE FROM {table}"))
            names = ", ".join(f":{name}" for name in columns.split(", "))
            connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({names})"), before[table])


ALTERATIONS: dict[str, Callable[[Connection], object]] = {
    "another asker": lambda c: _rewrite(c, 3, lambda row: row["requester"].update(name="BS. Khác")),
    "a refusal made of a disclosure": lambda c: _rewrite(c, 3, lambda row: row.update(direction="refused", items=[])),
    "another time": lambda c: _rewrite(c, 3, lambda row: row.update(recorded="2020-01-01T00:00:00.000000+00:00")),
    "a word more": lambda c: _rewrite(c, 3, lambda row: row.update(note="nothing to see")),
    "not readable any more": lambda c: c.execute(text("UPDATE disclosure SET body = '{' WHERE position = 3")),
    "hidden from its patient": lambda c: c.execute(text("UPDATE disclosure SET record_id = NULL WHERE position = 3")),
    "hidden from what that person opened": lambda c: c.execute(
        text("UPDATE disclosure SET subject = 'bs.khac' WHERE position = 3")
    ),
    "hidden from what that hospital opened": lambda c: c.execute(
        text("UPDATE disclosure SET other = 'urn:oid:1.2' WHERE position = 3")
    ),
    "moved out of the time searched": lambda c: c.execute(
        text("UPDATE disclosure SET recorded = '1990-01-01T00:00:00.000000+00:00' WHERE position = 3")
    ),
    "deleted": lambda c: c.execute(text("DELETE FROM disclosure WHERE position = 3")),
    "the last one deleted": lambda c: c.execute(
        text("DELETE FROM disclosure WHERE position = (SELECT max(position) FROM disclosure)")
    ),
    "deleted, the others moved up": _close_the_gap,
    "two exchanged": lambda c: _exchange(c, 2, 3),
    "one put in": lambda c: _put_in(c, 3),
    "one put in beyond the end": lambda c: _put_in(c, None),
    "a seal deleted": lambda c: (
        c.execute(text("DELETE FROM seal WHERE size = (SELECT min(size) FROM seal)"))
        and c.execute(text("UPDATE disclosure SET body = replace(body, 'ITI-', 'ITI.') WHERE position = 1"))
    ),
    "one seal in place of another": lambda c: c.execute(
        text("UPDATE seal SET body = (SELECT body FROM seal ORDER BY size DESC LIMIT 1)")
    ),
}
