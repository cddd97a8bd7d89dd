"""A door that keeps its lines open, as HL7 and DICOM do: takes connections until SIGTERM, with TLS where it is set."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import socket
import ssl
import struct
import time
from typing import Protocol

from hie_node.edge.listeners import ServerTls, server_context

HANDSHAKE_SECONDS = 10.0
BACKLOG = 1024
RENEWED_EVERY = 60.0
LET_GO_SECONDS = 2.0
"""How long the processes of a node that was killed may hold its ports: they end with it, a moment later."""
_TCP_INFO, _UNACKED = 32, 24
"""Bytes of `struct tcp_info` that are asked for, and where `tcpi_unacked` lies in them (linux/tcp.h)."""


class LineDoor(Protocol):
    """What answers at the door."""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None: ...
    async def close(self) -> None: ...


def listen(host: str, port: int) -> socket.socket:
    """Where the door will stand. Raises OSError when the port stays taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    until = time.monotonic() + LET_GO_SECONDS
    while True:
        try:
            listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
            listening.setblocking(False)
            return listening
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                raise
            time.sleep(0.05)


def waiting_at(listening: socket.socket) -> int:
    """Connections that nobody has taken yet. Of a listening socket they are what Linux calls `tcpi_unacked`."""
    told = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO)
    return int(struct.unpack_from("I", told, _UNACKED)[0])


async def serve_until_stopped(door: LineDoor, listening: socket.socket, *, tls: ServerTls | None, buffer: int) -> None:
    """Lets the door end what runs when it is stopped. `buffer`: bytes that wait unread on one line."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    context = server_context(tls) if tls else None
    server = await asyncio.start_server(
        door.connected,
        sock=listening,
        limit=buffer,
        backlog=BACKLOG,
        ssl=context,
        ssl_handshake_timeout=HANDSHAKE_SECONDS if context else None,
    )
    renewal = asyncio.create_task(_renew(context, tls)) if context and tls else None
    await stopping.wait()
    server.close()
    await door.close()
    if renewal is not None:
        renewal.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewal


async def _renew(context: ssl.SSLContext, tls: ServerTls) -> None:
    """A renewed certificate is shown at the next handshake, without a restart."""
    seen = [file.stat().st_mtime_ns for file in tls.files]
    while True:
        await asyncio.sleep(RENEWED_EVERY)
        with contextlib.suppress(OSError, ssl.SSLError):
            found = [file.stat().st_mtime_ns for file in tls.files]
            if found != seen:
                context.load_cert_chain(tls.certificate_file, tls.key_file)
                seen = found
