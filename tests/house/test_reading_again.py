"""What was kept is read again where it can be killed: whatever is in it, whoever asked goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner

from adapters.store.people import User
from adapters.trust import certificates
from consent.requesters import Role
from hie_node import feeds
from hie_node.apart import Bounds
from hie_node.cli import app
from hie_node.file_worker import TOO_MUCH
from hie_node.house import House
from hie_node.passwords import hasher
from hie_node.publishing import publish_paths, publisher
from hie_node.reading_again import AGAIN, reader_of, replay, replay_all
from registry.feeds import REFUSED, FeedItem
from tests.house.hospital import OID, Hospital, make_house
from tests.house.node import made_node
from tests.house.test_hl7_workers import LARGE, LONG, SLOW, SMALL
from tests.house.test_hl7v2 import sample
from tests.house.test_insurance import VISIT
from tests.house.test_mllp import all_that_is_free

PASSWORD = "một mật khẩu đủ dài"
_TOKEN = re.compile(r'name="token" value="([^"]+)"')


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = make_house(tmp_path)
    yield made
    made.storage.close()


def kept(house: House, data: bytes, *, feed: str = "hl7v2 LIS|BV") -> FeedItem:
    """As the door keeps what it refused."""
    original = feeds.keep(house, data)
    with house.storage.begin() as unit:
        item = feeds.new_item(house, feed, "1", original)
        return feeds.write(unit, item, original, feeds.Became(REFUSED, reasons=("AE 207",)))


def closed(house: House) -> House:
    """Nothing of it is open at a fork."""
    house.storage.close()
    return house


@pytest.mark.parametrize(("bounds", "too_much"), [(SLOW, LONG), (SMALL, LARGE)], ids=["time", "memory"])
def test_an_original_that_takes_too_much_is_refused_again_and_the_next_one_is_read(
    house: House, bounds: Bounds, too_much: bytes
) -> None:
    items = [kept(house, too_much), kept(house, sample("adt_a04"))]
    held = all_that_is_free()
    with reader_of(closed(house), bounds):
        del held
        first, second = replay_all(house, [item.id for item in items], publisher(house, "test"))
    assert (first.outcome, second.outcome) == (REFUSED, "stored")
    assert "took more time or memory" in first.reasons[0] and first.replayed is not None
    assert Hospital(house).record("A1") is not None and feeds.read_item(house, first.id) == first


def test_a_file_of_dossiers_that_takes_too_much_says_that_it_broke_off(house: House) -> None:
    item = kept(house, VISIT.replace("<MA_LK>", "<MA_LK>" + " " * 30_000_000, 1).encode(), feed="insurance")
    with reader_of(closed(house), Bounds(cpu_seconds=0.05, look=0.01)):
        assert replay(house, item, publisher(house, "test")).reasons == (TOO_MUCH,)


def test_an_original_that_is_gone_stops_no_other(house: House, tmp_path: Path) -> None:
    gone, there = kept(house, b"x" * (feeds.IN_A_ROW + 1)), kept(house, sample("adt_a04"))
    for file in house.settings.contents.rglob("*"):
        if file.is_file():
            file.unlink()
    with reader_of(closed(house)):
        first, second = replay_all(house, [gone.id, there.id], publisher(house, "test"))
    assert (first.outcome, second.outcome) == (REFUSED, "stored")
    assert "not known here" in first.reasons[0]


def test_a_file_that_was_never_kept_is_not_offered_to_be_read_again(house: House, tmp_path: Path) -> None:
    (file := tmp_path / "lon.xml").write_text(VISIT)
    with file.open("r+b") as opened:
        opened.truncate(house.settings.limits.file_body + 1)
    (published,) = publish_paths(house, [file], who="test")
    assert published.outcome == REFUSED
    assert feeds.refused(house, "", since=house.now() - timedelta(hours=1)) == []


def told(house: House, *command: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["--home", str(house.settings.home), "feeds", *command])
    return found.exit_code, found.output


def test_the_commands_read_there_too(house: House, tmp_path: Path) -> None:
    refused, odd = kept(house, b"MSH|^~\\&|LIS|BV\rnothing"), kept(house, sample("adt_a04"))
    (mapping := tmp_path / "new.toml").write_text('[[sender]]\napplication = "HIS"\n')
    closed(house)
    number, lines = told(house, "try", str(mapping), "--json")
    assert (number, json.loads(lines)["looked_at"], json.loads(lines)["beyond"]) == (0, 2, 0)
    number, lines = told(house, "replay")
    assert (number, lines.splitlines()[-1]) == (1, "2 read again, 1 refused again")
    assert feeds.read_item(house, odd.id).outcome == "stored"
    assert feeds.read_item(house, refused.id).replayed is not None


def test_a_page_of_a_node_that_runs_reads_there_too(
    tmp_path: Path, database: Callable[[Path], str], lab_authority: certificates.Credential
) -> None:
    (home := tmp_path / "bac-ninh").mkdir()
    with made_node(tmp_path, database(home), lab_authority) as node:
        house = node.house()
        with house.storage.begin() as unit:
            hashed = hasher(lab=True).hash(PASSWORD)
            unit.people_of_the_house.add_user(User("qt", hashed, Role.ADMINISTRATOR, "Đỗ Hồng Sơn"))
        item = kept(house, sample("adt_a04", **{OID: house.settings.patient_id_system.removeprefix("urn:oid:")}))
        closed(house)
        node.starts()
        session = requests.Session()
        session.trust_env = False
        session.verify = str(node.settings.tls / "federation-ca.crt")

        def sends(path: str, page: str, **fields: str) -> requests.Response:
            token = _TOKEN.search(session.get(node.settings.house.url + page, timeout=20).text)
            assert token
            return session.post(node.settings.house.url + path, {"token": token[1], **fields}, timeout=60)

        assert sends("/login", "/login", username="qt", password=PASSWORD).ok
        assert sends("/node/feeds/again", "/node/feeds", item=item.id).ok
        assert feeds.read_item(house, item.id).outcome == "stored"
        house.storage.close()


def test_the_bounds_leave_room_for_both_attempts_while_a_page_waits() -> None:
    from hie_node.edge.limits import EdgeLimits

    assert 2 * AGAIN.cpu_seconds < EdgeLimits().answer_seconds
