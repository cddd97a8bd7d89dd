"""From a host name to addresses, within the time that is left: the system's resolver knows no deadline."""

from __future__ import annotations

import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from ipaddress import ip_address
from threading import Lock

from registry.directory import may_be_a_peer

Address = tuple[str, int]
# names of hospitals seldom move; when the resolver is silent the last answer is better than none
_FRESH_SECONDS = 60.0


class Resolver:
    """Looks names up in the background and remembers them; one question at a time for each name."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolve")
        self._known: dict[Address, tuple[float, tuple[Address, ...]]] = {}
        self._asked: dict[Address, Future[tuple[Address, ...]]] = {}
        self._lock = Lock()

    def addresses(self, host: str, port: int, *, deadline: float) -> tuple[Address, ...]:
        """Where to connect to, in order; raises OSError when it cannot be known in time, or is nothing for a peer."""
        try:
            literal = ip_address(host)
        except ValueError:
            return self._by_name((host, port), deadline)
        return _permitted(((str(literal), port),))

    def _by_name(self, name: Address, deadline: float) -> tuple[Address, ...]:
        since, known = self._known.get(name, (0.0, ()))
        if known and time.monotonic() - since < _FRESH_SECONDS:
            return known
        with self._lock:
            asked = self._asked.get(name)
            if asked is None or asked.done():
                asked = self._asked[name] = self._pool.submit(self._look_up, name)
        try:
            return asked.result(timeout=max(0.0, deadline - time.monotonic()))
        except (OSError, TimeoutError):
            if known:
                return known
            raise

    def _look_up(self, name: Address) -> tuple[Address, ...]:
        found = socket.getaddrinfo(*name, type=socket.SOCK_STREAM)
        addresses = _permitted(tuple(dict.fromkeys((str(entry[4][0]), name[1]) for entry in found)))
        self._known[name] = (time.monotonic(), addresses)
        return addresses

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _permitted(addresses: tuple[Address, ...]) -> tuple[Address, ...]:
    """Checked on what is connected to, since a name can point anywhere."""
    permitted = tuple(one for one in addresses if may_be_a_peer(ip_address(one[0].partition("%")[0])))
    if not permitted:
        raise OSError("no address that a hospital can have")
    return permitted
