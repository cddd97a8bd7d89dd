"""A node that comes back from a backup has what it had, knows that it missed something, and asks before it serves."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.trust.errors import KeyUnusable
from adapters.trust.sealed_keys import open_files, seal_files
from consent.requesters import Role
from hie_node import jobs
from hie_node.backups import back_up, bring_back
from hie_node.bootstrap import build
from hie_node.checks import NEAR, look_at
from hie_node.flows import audit
from hie_node.flows.heads import ask_keepers, offer_head
from hie_node.flows.losses import answer_losses
from hie_node.house import House
from hie_node.returning import before_serving, catch_up, pending, recognise
from hie_node.setting_tables import UnsafeSettings
from registry.errors import InvalidValue
from tests.lab import Hospital, Lab
from tests.papers import HOA, LAN, ct_report, written_request

LARGE = 100_000
"""Letters of a document that is a file of its own, not a part of the database."""
PHRASE = "chín con rồng bay qua sông"


@pytest.fixture
def new_url(database: Callable[[Path], str], request: pytest.FixtureRequest) -> Callable[[], str]:
    """Where a restored database goes: a file of the new home, or another database of the cluster."""
    if "postgresql" not in request.node.name:
        return lambda: ""
    return lambda: str(request.getfixturevalue("postgres").empty())


def _returned(hospital: Hospital, backup: Path, home: Path, url: str) -> None:
    """The machine is gone; its backup stands on another one, under the same address."""
    hospital.house.storage.close()
    hospital.house.transport.close()
    made = bring_back(backup, home, passphrase=PHRASE, database_url=url)
    settings = replace(made.settings, limits=hospital.house.settings.limits)
    hospital.house = replace(build(settings), now=hospital.lab.clock)
    hospital.opens_anew()


def test_everything_that_was_acknowledged_is_in_the_backup(
    lab: Lab, tmp_path: Path, new_url: Callable[[], str]
) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    texts = ("Lần đầu.", "x" * LARGE, "Lần cuối.")
    reports = [bac_ninh.publishes(ct_report(LAN, text)) for text in texts]
    bac_ninh.seals()
    back_up(bac_ninh.house, tmp_path / "backup", passphrase=PHRASE)
    rows = len(bac_ninh.record)
    _returned(bac_ninh, tmp_path / "backup", tmp_path / "home", new_url())
    assert len(bac_ninh.record) == rows and bac_ninh.verifies().findings == ()
    assert catch_up(bac_ninh.house, recognise(bac_ninh.house)).silent == ()  # type: ignore[arg-type]
    for report in reports:
        assert bac_ninh.fetches(report).status == 200
    assert {report.id for report in reports} == {entry.id for entry in bac_ninh.holds()}
    assert len(bac_ninh.rows(transaction="restore")) == 1, "that it came back is on record"


def test_a_backup_made_while_people_work_is_of_one_moment(lab: Lab, tmp_path: Path, new_url: Callable[[], str]) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    done, stop = [], threading.Event()

    def works() -> None:
        number = 0
        while not stop.is_set():
            done.append(bac_ninh.publishes(ct_report(LAN, f"{number} " * (number % 2 * LARGE or 1))).id)
            number += 1

    worker = threading.Thread(target=works)
    worker.start()
    try:
        while len(done) < 2:
            stop.wait(0.01)
        before = list(done)
        back_up(bac_ninh.house, tmp_path / "backup", passphrase=PHRASE)
    finally:
        stop.set()
        worker.join()
    _returned(bac_ninh, tmp_path / "backup", tmp_path / "home", new_url())
    held = bac_ninh.holds()
    assert {entry.id for entry in held} >= set(before)
    for entry in held:
        content = bac_ninh.house.contents.open(entry.record_id, entry.attachment.content_hash)
        assert b"".join(content), "what the index names is there"
    assert bac_ninh.verifies().findings == ()


def test_the_node_knows_how_old_its_last_backup_is(lab: Lab, tmp_path: Path) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    back_up(bac_ninh.house, tmp_path / "backup", passphrase=None)

    def light(days: int) -> tuple[str, str]:
        house = replace(bac_ninh.house, now=lambda: datetime.now(UTC) + timedelta(days=days, minutes=1))
        (found,) = (one for one in look_at(house, NEAR) if one.name == "backup")
        return found.state, found.text

    assert light(0) == ("ok", "the last was made 0 days ago")
    assert light(8) == ("warning", "the last was made 8 days ago")
    (bac_ninh.house.settings.home / "last-backup.json").unlink()
    hospital = replace(bac_ninh.house, settings=replace(bac_ninh.house.settings, lab=False))
    assert [one.found for one in look_at(hospital, NEAR) if one.name == "backup"] == ["no-backup"]


def test_a_second_backup_into_the_same_folder_copies_what_is_new(lab: Lab, tmp_path: Path) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    for number in range(3):
        bac_ninh.publishes(ct_report(LAN, f"{number}" * LARGE))
    assert back_up(bac_ninh.house, tmp_path / "b", passphrase=None).copied == 3
    bac_ninh.publishes(ct_report(LAN, "x" * LARGE))
    again = back_up(bac_ninh.house, tmp_path / "b", passphrase=None)
    assert (again.copied, again.contents) == (1, 4)
    with pytest.raises(UnsafeSettings, match="backup of"):
        back_up(bach_mai.house, tmp_path / "b", passphrase=None)
    with pytest.raises(UnsafeSettings, match="inside"):
        back_up(bac_ninh.house, bac_ninh.house.settings.home / "backup", passphrase=None)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(UnsafeSettings, match="something else"):
        back_up(bac_ninh.house, tmp_path / "other", passphrase=None)


def test_no_key_leaves_in_the_clear(lab: Lab, tmp_path: Path) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    secrets = [f.read_bytes() for folder in ("keys", "tls") for f in (bac_ninh.house.settings.home / folder).iterdir()]
    secrets = [one for one in secrets if b"CERTIFICATE" not in one]
    for phrase in (None, PHRASE):
        back_up(bac_ninh.house, tmp_path / str(phrase), passphrase=phrase)
        written = b"".join(f.read_bytes() for f in (tmp_path / str(phrase)).rglob("*") if f.is_file())
        assert len(secrets) >= 4 and [one for one in secrets if one in written] == []
    with pytest.raises(UnsafeSettings, match="passphrase"):
        bring_back(tmp_path / PHRASE, tmp_path / "home", passphrase=None)
    with pytest.raises(KeyUnusable, match="passphrase"):
        bring_back(tmp_path / PHRASE, tmp_path / "home", passphrase="một câu khác hẳn, đủ dài")


@pytest.mark.parametrize(
    "change", [lambda b: b[:-1], lambda b: b[:40] + bytes([b[40] ^ 1]) + b[41:], lambda b: b"x" + b]
)
def test_a_file_of_keys_that_was_changed_opens_nothing(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    seal_files({"keys/a": b"secret", "tls/b": b"other"}, PHRASE, tmp_path / "k")
    assert open_files(tmp_path / "k", PHRASE) == {"keys/a": b"secret", "tls/b": b"other"}
    (tmp_path / "k").write_bytes(change((tmp_path / "k").read_bytes()))
    with pytest.raises(KeyUnusable):
        open_files(tmp_path / "k", PHRASE)
    with pytest.raises(KeyUnusable):
        seal_files({}, "ngắn", tmp_path / "k2")


def test_a_restore_overwrites_nothing_and_takes_nothing_damaged(lab: Lab, tmp_path: Path) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    if bac_ninh.house.settings.database_url.startswith("postgresql"):
        return
    back_up(bac_ninh.house, tmp_path / "b", passphrase=PHRASE)
    with pytest.raises(UnsafeSettings, match="not empty"):
        bring_back(tmp_path / "b", bac_ninh.house.settings.home, passphrase=PHRASE)
    damaged = tmp_path / "damaged"
    shutil.copytree(tmp_path / "b", damaged)
    content = bytearray((damaged / "database.sqlite").read_bytes())
    content[4096:40960] = b"\xff" * (40960 - 4096)
    (damaged / "database.sqlite").write_bytes(content)
    with pytest.raises(Exception, match="damaged"):
        bring_back(damaged, tmp_path / "home", passphrase=PHRASE)
    assert not (tmp_path / "home" / "node.db").exists()
    (tmp_path / "b" / "backup.json").unlink()
    with pytest.raises(UnsafeSettings, match="no complete backup"):
        bring_back(tmp_path / "b", tmp_path / "home2", passphrase=PHRASE)


def test_withdrawals_that_a_restored_node_missed_hold_before_it_serves(
    lab: Lab, tmp_path: Path, new_url: Callable[[], str]
) -> None:
    """Both ways: one that another hospital told it, and one that it had told another hospital and forgot."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    for hospital in (bac_ninh, bach_mai):
        for person in (LAN, HOA):
            hospital.registers(person)
    theirs = bach_mai.records(written_request(LAN, to="bach-mai"))
    ours = bac_ninh.records(written_request(HOA, to="bac-ninh"))
    bac_ninh.publishes(ct_report(LAN))
    bach_mai.publishes(ct_report(HOA))
    assert len(bach_mai.finds_documents(LAN).ids) == len(bac_ninh.finds_documents(HOA).ids) == 1
    back_up(bac_ninh.house, tmp_path / "backup", passphrase=PHRASE)
    lab.clock.moves(by=timedelta(minutes=1))
    bach_mai.withdraws(theirs)
    bac_ninh.withdraws(ours)
    for hospital in (bac_ninh, bach_mai):
        jobs.carry_withdrawals(hospital.house)
    _returned(bac_ninh, tmp_path / "backup", tmp_path / "home", new_url())
    bach_mai.goes_down()
    with pytest.raises(UnsafeSettings, match=bach_mai.facility):
        before_serving(bac_ninh.house)
    assert pending(bac_ninh.house) is not None
    bach_mai.comes_up()
    lab.clock.moves(by=timedelta(minutes=5))
    before_serving(bac_ninh.house)
    assert pending(bac_ninh.house) is None
    with bac_ninh.house.storage.read() as unit:
        kept = unit.receipts.kept(theirs.id)
        assert kept is not None and kept.withdrawn is not None
        assert unit.consents.consent(ours.id).status == "inactive"  # type: ignore[union-attr]
    assert bac_ninh.finds_documents(HOA).lines[str(bach_mai.home)] == "withheld"


def test_a_copied_disk_is_recognised_by_what_others_hold_of_its_record(
    lab: Lab, tmp_path: Path, new_url: Callable[[], str]
) -> None:
    """No `hie restore`: somebody put back an image of the machine. The loss stays found until the officer answers."""
    bac_ninh, _ = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.publishes(ct_report(LAN))
    bac_ninh.seals()
    assert recognise(bac_ninh.house) is None
    back_up(bac_ninh.house, tmp_path / "backup", passphrase=PHRASE)
    bac_ninh.finds_own_documents(LAN)
    bac_ninh.seals()
    assert offer_head(bac_ninh.house) == 1
    lab.clock.moves(by=timedelta(minutes=1))
    _returned(bac_ninh, tmp_path / "backup", tmp_path / "home", new_url())
    _forget_that_it_came_back(bac_ninh.house)
    found = recognise(bac_ninh.house)
    assert found is not None
    before_serving(bac_ninh.house)
    result = audit.verify(bac_ninh.house, ask_keepers(bac_ninh.house))
    assert len(result.findings) == 1 and "nobody answers" in result.findings[0].text and not result.notes
    officer = bac_ninh._act("hie audit", Role.DATA_PROTECTION_OFFICER)
    answer_losses(officer, because="đĩa hỏng, khôi phục từ bản sao lưu")
    result = audit.verify(bac_ninh.house, ask_keepers(bac_ninh.house))
    assert result.findings == () and len(result.notes) == 1 and "lost" in result.notes[0]
    assert recognise(bac_ninh.house) is None, "it asks once"


def _forget_that_it_came_back(house: House) -> None:
    from sqlalchemy import text

    from adapters.store.engine import make_engine

    engine = make_engine(house.settings.database_url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM restore"))
    engine.dispose()


def test_a_database_that_is_in_use_is_not_restored_over(tmp_path: Path) -> None:
    from adapters.store.dumps import restore

    (tmp_path / "database.sqlite").touch()
    target = tmp_path / "node.db"
    sqlite3.connect(target).close()
    target.touch()
    with pytest.raises(InvalidValue):
        restore(tmp_path, f"sqlite:///{target}")
    with pytest.raises(InvalidValue, match="another kind"):
        restore(tmp_path / "nothing", f"sqlite:///{tmp_path / 'new.db'}")
