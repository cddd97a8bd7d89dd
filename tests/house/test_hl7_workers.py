"""A message that takes too much ends with the process that reads it, and with nothing else."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adapters.hl7v2.framing import framed
from hie_node.apart import USUAL, Bounds
from hie_node.feeds import read_item, replay
from hie_node.publishing import publisher
from hie_node.setting_tables import HL7_AT_ONCE, Mllp
from registry.feeds import REFUSED, FeedItem, FeedSearch
from tests.house.hospital import code, error, make_house, written
from tests.house.test_hl7v2 import sample
from tests.house.test_mllp import Door
from tests.processes import alive, children, eventually, exit_code, free_port

SLOW = Bounds(cpu_seconds=0.2, look=0.02)
"""A common message takes a hundredth of it, the long one ten times as much."""
SMALL = Bounds(memory=160 << 20)
HEAD = "MSH|^~\\&|LIS|BV|HIE|27001|20261110090000||ORU^R01^ORU_R01|L1|P|2.5|||||VNM|UNICODE UTF-8\n"
PATIENT = "PID|1||BN1^^^OWN^MR||Nguyễn^Văn^Mẫu||19900501|M\n"
ORDER = "OBR|1||XN1^LIS|CHEM^Sinh hóa^L|||20261110080000||||||||||||||||||F\n"
LONG = written(HEAD + PATIENT + ORDER + f"OBX|1|TX|A||{'chữ ' * 100}||||||F\n" * 9_000)
LARGE = written(HEAD + PATIENT + ORDER + f"OBX|1|TX|A||{'chữ ' * 250}||||||F\n" * 9_000)

OpenDoor = Callable[[Bounds], Door]


@pytest.fixture
def open_door(tmp_path: Path) -> Iterator[OpenDoor]:
    made: list[Door] = []

    def open_(bounds: Bounds) -> Door:
        made.append(Door(make_house(tmp_path, mllp_port=free_port()), bounds))
        made[-1].open()
        return made[-1]

    yield open_
    for door in made:
        door.close()


def kept(door: Door) -> list[FeedItem]:
    with door.hospital.house.storage.read() as unit:
        return list(unit.feeds.find(FeedSearch("hl7v2", REFUSED)))


@pytest.mark.parametrize(("bounds", "too_much"), [(SLOW, LONG), (SMALL, LARGE)], ids=["time", "memory"])
def test_a_message_that_takes_too_much_is_refused_and_kept(
    open_door: OpenDoor, bounds: Bounds, too_much: bytes
) -> None:
    door = open_door(bounds)
    sender, other = door.connect(), door.connect()
    sender.send(framed(too_much))
    assert code(other.ask(sample("adt_a04"))) == "AA"
    answer = sender.answer()
    assert (code(answer), answer.one("MSA").text(2), error(answer)[2]) == ("AE", "L1", "207")
    assert code(sender.ask(sample("adt_a08"))) == "AA", "the connection and the door go on"
    (item,) = kept(door)
    assert (item.feed, item.name, item.size) == ("hl7v2 LIS|BV", "L1", len(too_much))


def test_what_stands_beside_it_has_its_effect_once_and_in_order(open_door: OpenDoor) -> None:
    door = open_door(SLOW)
    sender = door.connect()
    before, after = (sample("adt_a04", **{"|M1|": f"|{number}|"}) for number in ("1", "3"))
    sender.send(framed(before) + framed(LONG) + framed(after))
    answers = [sender.answer() for _ in range(3)]
    assert [(code(each), each.one("MSA").text(2)) for each in answers] == [("AA", "1"), ("AE", "L1"), ("AA", "3")]
    assert door.hospital.record("A1") is not None


def test_it_can_be_read_again_where_nobody_waits_for_it(open_door: OpenDoor) -> None:
    door = open_door(SLOW)
    assert code(door.connect().ask(LONG)) == "AE"
    house = door.hospital.house
    (item,) = kept(door)
    assert replay(house, read_item(house, item.id), publisher(house, "test")).outcome == "stored"


def test_a_worker_that_is_killed_is_replaced_and_nobody_is_accused(open_door: OpenDoor) -> None:
    door = open_door(USUAL)
    sender = door.connect()
    for number in ("1", "2"):
        # the one beside which a killed worker's messages were read again leaves, and the next message brings the usual
        assert code(sender.ask(sample("adt_a04"))) == "AA"
        os.kill(worker_of(door), signal.SIGKILL)
        assert code(sender.ask(sample("adt_a08", **{"|M2|": f"|{number}|"}))) == "AA"
    assert kept(door) == []


def test_no_worker_outlives_its_door(open_door: OpenDoor) -> None:
    door = open_door(USUAL)
    worker = worker_of(door)
    assert door.end() == 0
    eventually(lambda: not alive(worker), "the worker has ended")


def test_a_door_without_its_nursery_ends_and_leaves_nothing_unanswered_as_done(open_door: OpenDoor) -> None:
    door = open_door(USUAL)
    sender = door.connect()
    assert code(sender.ask(sample("adt_a04"))) == "AA"
    worker = worker_of(door)
    (nursery,) = children(door.pid)
    os.kill(nursery, signal.SIGKILL)
    eventually(lambda: not alive(worker), "the worker has ended")
    sender.send(framed(sample("adt_a08")))
    assert sender.is_closed()
    pid, door.pid = door.pid, 0
    assert exit_code(pid) == 0


def test_as_many_as_may_be_worked_on_at_once_are(tmp_path: Path, database_url: str) -> None:
    mllp = Mllp(threads=HL7_AT_ONCE)
    with closing(Door(make_house(tmp_path, mllp_port=free_port(), mllp=mllp, database_url=database_url))) as door:
        door.open()
        senders = [door.connect() for _ in range(HL7_AT_ONCE)]
        for number, sender in enumerate(senders):
            sender.send(framed(sample("adt_a04", **{"|M1|": f"|{number}|"})))
        answers = [sender.answer() for sender in senders]
        assert [(code(each), error(each)) for each in answers if code(each) != "AA"] == []


def worker_of(door: Door) -> int:
    """The nursery is the door's only child, the worker that of the nursery."""
    (nursery,) = children(door.pid)
    eventually(lambda: len(workers(nursery)) == 1, "there is one worker")
    return workers(nursery)[0]


def workers(nursery: int) -> list[int]:
    return [pid for pid in children(nursery) if alive(pid)]
