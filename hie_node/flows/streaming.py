"""Content on its way out: the permission is looked at again while it flows, and its end is recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

from adapters.peers.errors import PeerBroken
from hie_node.acts import Act
from registry.errors import TooLarge

Piece = TypeVar("Piece")


class TransferStopped(Exception):
    """The permission ended while content flowed; the connection is broken off so that nobody takes it for whole."""


def arriving(act: Act) -> Act:
    """The act as far as the row of what came of it: the same things, received."""
    one = act.fork()
    one.direction, one.items, one.other = "received", list(act.items), act.other
    one.patient, one.record_id = act.patient, act.record_id
    return one


class Transfer:
    """One transfer of one act, of one or many pieces of content.

    Used as a context: what leaves it without `finish()` is recorded as broken off.
    """

    def __init__(self, act: Act, still_permitted: Callable[[], bool]) -> None:
        self._act, self._still_permitted = act, still_permitted
        self._pause = act.house.settings.limits.recheck
        self._next_look = act.house.now().timestamp() + self._pause
        self._sent, self._complete, self._ended = 0, False, False

    def __enter__(self) -> Transfer:
        return self

    def pass_on(self, content: Iterator[bytes]) -> Iterator[bytes]:
        """The content as it comes; every few seconds the consent is decided again, and a withdrawal stops it."""
        for piece in content:
            now = self._act.house.now().timestamp()
            if now >= self._next_look:
                if not self._still_permitted():
                    raise TransferStopped
                self._next_look = now + self._pause
            # counted first: of what is handed over nobody knows whether it was read
            self._sent += len(piece)
            yield piece

    def finish(self) -> None:
        """Everything was passed on."""
        self._complete = True

    def end(self, complete: bool) -> None:
        """The end of a transfer that is no block; what comes after the first is no end."""
        if not self._ended:
            self._ended, self._complete = True, complete
            self.__exit__(None, None, None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._act.now = self._act.house.now()
        with self._act.house.storage.begin() as unit:
            unit.disclosures.add(self._act.row(complete=self._complete, bytes_sent=self._sent))


def gathered(content: Iterable[bytes], what: str, *, limit: int) -> bytes:
    """All of it, for what is small. Raises TooLarge once it is longer than `limit` bytes, whatever was announced."""
    whole = bytearray()
    for piece in content:
        whole += piece
        if len(whole) > limit:
            raise TooLarge(what, limit=limit)
    return bytes(whole)


def verified(content: Iterator[bytes], *, sha1: str | None, size: int | None) -> Iterator[bytes]:
    """Pass content on one piece late, so that the last piece leaves only when size and SHA-1 are right.

    Raises PeerBroken where the bytes are not those that the holder listed; the last piece is held back then.
    """
    digest, count, held = hashlib.sha1(usedforsecurity=False), 0, b""
    for piece in content:
        digest.update(piece)
        count += len(piece)
        if size is not None and count > size:
            raise PeerBroken("other-bytes")
        if held:
            yield held
        held = piece
    if (sha1 is not None and digest.hexdigest() != sha1) or (size is not None and count != size):
        raise PeerBroken("other-bytes")
    if held:
        yield held


class Begun(Generic[Piece]):
    """Content whose first piece is here already, so that what fails at once is answered and not broken off."""

    def __init__(self, content: Iterator[Piece]) -> None:
        self._content = content
        self._first = next(content, None)

    def __iter__(self) -> Iterator[Piece]:
        return self

    def __next__(self) -> Piece:
        first, self._first = self._first, None
        return next(self._content) if first is None else first

    def close(self) -> None:
        """Ends the transfer where the reader left."""
        close = getattr(self._content, "close", None)
        if close is not None:
            close()
