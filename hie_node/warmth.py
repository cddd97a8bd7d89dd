"""Connections to peers that stand before the first question: a doctor does not wait for a hundred handshakes."""

from __future__ import annotations

import threading
import time

from hie_node import log
from hie_node.house import House

EVERY_SECONDS = 20.0
"""An idle connection is trusted for 50 seconds; it is replaced before a question finds it too old."""
CONNECT_SECONDS = 5.0


def keep_warm(house: House) -> None:
    """Keep one connection to each peer that would be asked, from a thread of this process, as long as it runs."""
    threading.Thread(target=_run, args=(house,), name="warm", daemon=True).start()


def _run(house: House) -> None:
    while True:
        try:
            warm(house)
        except Exception as error:
            log.fault("warming connections", error, "")
        time.sleep(EVERY_SECONDS)


def warm(house: House) -> None:
    """Once. A network too large to be asked as a whole is not connected to as a whole."""
    peers = [peer for peer in house.directory.current().active if peer.home != house.home]
    if len(peers) <= house.settings.limits.ask_everyone_up_to:
        house.transport.warm(peers, deadline=time.monotonic() + CONNECT_SECONDS)
