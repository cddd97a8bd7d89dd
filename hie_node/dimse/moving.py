"""Objects that a PACS sends by C-MOVE: they come in at the DICOM port, and go on to who asked for them.

The one who asks (a worker) and the one who receives (the DICOM port) are processes of their own. Between them is a
folder for each request, named by its Message ID, which the PACS repeats with each object. What nobody waits for is
refused, and never stored as an object of this hospital; the PACS gets its next answer when there is room, so that a
study is never on the disk as a whole.

Source: DICOM PS3.4: C.4.2.3.1, PS3.7: 9.1.1.1 (Move Originator), 9.1.4
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from adapters.dicom.file_head import file_head
from adapters.dicom.network.commands import Status
from adapters.dicom.network.errors import Refused
from hie_node.dimse.association import Message
from hie_node.settings import Settings

MOST_WAITING = 8
"""Objects of one request that lie between the two."""
LOOK_SECONDS = 0.01
PATIENCE_SECONDS = 60.0
"""How long an object waits for room, and a request is taken to be somebody's."""
PIECE = 256 << 10
FORGOTTEN_SECONDS = 900.0
"""After this silence a request is one whose process was killed."""
_HALF = ".half"


def _folder(settings: Settings) -> Path:
    return settings.spool / "moved"


# ---- who asks


@dataclass(frozen=True, slots=True)
class Expected:
    """A request whose objects are waited for. `number` is its Message ID."""

    number: int
    folder: Path

    def arrived(self) -> Iterator[Iterator[bytes]]:
        """The files that are here whole, in the order in which they came; each is gone once it is read."""
        for path in sorted(self.folder.iterdir()):
            if path.suffix != _HALF:
                with path.open("rb") as file:
                    path.unlink()
                    yield iter(lambda file=file: file.read(PIECE), b"")  # type: ignore[misc]


@contextmanager
def expected(settings: Settings) -> Iterator[Expected]:
    """While the block lasts, objects that answer this request are taken in."""
    folder = _folder(settings)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _sweep(folder)
    while True:
        number = 1 + secrets.randbelow(0xFFFF)
        with suppress(FileExistsError):
            (folder / str(number)).mkdir(mode=0o700)
            break
    try:
        yield Expected(number, folder / str(number))
    finally:
        shutil.rmtree(folder / str(number), ignore_errors=True)


def _sweep(folder: Path) -> None:
    for old in folder.iterdir():
        with suppress(FileNotFoundError):
            if time.time() - old.stat().st_mtime > FORGOTTEN_SECONDS:
                shutil.rmtree(old, ignore_errors=True)


# ---- who receives


def is_answer(settings: Settings, message: Message, sender: str) -> bool:
    """Whether a PACS of this hospital sends an object because this node asked it to. Some write their own title where
    that of who asked belongs; an object that somebody else has sent here is stored like any other."""
    command = message.command
    originator = command.text("MoveOriginatorApplicationEntityTitle")
    if not originator or sender not in {pacs.ae_title for pacs in settings.pacs}:
        return False
    return originator == settings.dicom_aet or (originator == sender and _asked_for(settings, message).is_dir())


def _asked_for(settings: Settings, message: Message) -> Path:
    return _folder(settings) / str(message.command.number("MoveOriginatorMessageID"))


async def hand_over(settings: Settings, message: Message) -> None:
    """Done when it lies where it is waited for. Raises Refused where nobody waits, or waits too slowly."""
    folder = _asked_for(settings, message)
    until = time.monotonic() + PATIENCE_SECONDS
    while (waiting := _waiting(folder)) >= MOST_WAITING and time.monotonic() < until:
        await asyncio.sleep(LOOK_SECONDS)
    if message.data is None or not 0 <= waiting < MOST_WAITING:
        raise Refused(Status.OUT_OF_RESOURCES, "nobody waits for this object")
    await asyncio.to_thread(_put, folder, message)


def _waiting(folder: Path) -> int:
    """How many lie there; -1 where nobody asked."""
    try:
        return sum(1 for _ in folder.iterdir())
    except FileNotFoundError:
        return -1


def _put(folder: Path, message: Message) -> None:
    assert message.data is not None
    command = message.command
    head = file_head(
        command.text("AffectedSOPClassUID"), command.text("AffectedSOPInstanceUID"), message.context.transfer_syntax
    )
    place = folder / f"{time.monotonic_ns():020d}"
    half = place.with_suffix(_HALF)
    try:
        with half.open("xb") as file:
            for piece in message.data.content(head).chunks():
                file.write(piece)
        half.rename(place)
    except FileNotFoundError as error:
        raise Refused(Status.OUT_OF_RESOURCES, "nobody waits for this object any more") from error
