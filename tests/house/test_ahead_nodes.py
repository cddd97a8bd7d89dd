"""Two hospitals as real processes: what was referred is here, byte for byte, also when the node is killed meanwhile."""

from __future__ import annotations

import gc
import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.dicom.client import parts
from adapters.store.engine import make_engine
from adapters.store.unit import Storage
from hie_node.flows.held import FROM_HERE
from hie_node.lab import nodes
from hie_node.lab.studies import write_study
from tests.bench import ahead, transfer
from tests.bench.hospital import Hospital, hospitals
from tests.lab import until

SLICES = 24


def images_here(hospital: Hospital, uid: str) -> int:
    storage = Storage(make_engine(hospital.settings.database_url))
    try:
        with storage.read() as unit:
            return sum(len(unit.ahead.instances_of(one.id, uid)) for one in unit.ahead.all())
    finally:
        storage.close()


def reasons_of_the_last_arrival(hospital: Hospital) -> dict[str, int]:
    storage = Storage(make_engine(hospital.settings.database_url))
    try:
        with storage.read() as unit:
            rows = [row for row in unit.disclosures.search(limit=50) if row.direction == "received"]
            return next(row.reasons for row in rows if row.transaction == "RAD-107")
    finally:
        storage.close()


def is_killed(hospital: Hospital) -> None:
    """All of its processes at once, without a last word."""
    pid = nodes._pid(hospital.settings)
    assert pid is not None
    os.killpg(os.getpgid(pid), signal.SIGKILL)
    assert until(lambda: nodes._pid(hospital.settings) is None)


@pytest.fixture
def detached() -> Iterator[None]:
    """The lab's processes outlive who started them, by design; what is said of that is said inside the test."""
    yield
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("detached")
def test_a_study_that_was_brought_ahead_through_a_kill_opens_as_it_was_stored(tmp_path: Path) -> None:
    with hospitals("bac-ninh", "bach-mai") as (holder, asker):
        message, _, uid = transfer.message_of(tmp_path, holder, SLICES)
        transfer.stow(holder, message)
        spec = transfer.spec_of(holder.entry["facility_code"], holder.entry["title"], SLICES)
        stored = {hashlib.sha256(path.read_bytes()).hexdigest() for path in write_study(spec, tmp_path / "again")}
        with ahead.line_between(holder, asker, bytes_a_second=2e6):
            ahead.refer(holder, asker)
            assert until(lambda: images_here(asker, uid) > 1, seconds=90)
            is_killed(asker)
            assert images_here(asker, uid) < SLICES, "the kill came in the middle"
        with ahead.line_between(holder, asker):
            nodes.start(asker.settings)
            ahead.wait_until_here(asker)
            transfer.allow(holder, asker)
            accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
            with asker.system().stream(f"/network/dicomweb/studies/{uid}", accept) as answer:
                pieces = parts(answer.headers["content-type"], answer.iter_content(1 << 16))
                got = {hashlib.sha256(b"".join(part.chunks)).hexdigest() for part in pieces}
        assert got == stored
        assert reasons_of_the_last_arrival(asker) == {FROM_HERE: 1}
