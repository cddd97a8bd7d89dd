"""The least that any receiver does: takes each object from a socket, makes it a file that is on the disk, says so.

`python -m tests.bench.socket_sink FOLDER` prints its port and serves one sender; `send` is the other end.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_SIZE = struct.Struct(">Q")


def send(files: Sequence[Path], port: int) -> float:
    """Seconds until the last object is acknowledged; the next is sent when the one before it was."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for file in files:
            content = file.read_bytes()
            line.sendall(_SIZE.pack(len(content)) + content)
            if line.recv(1) != b"1":
                raise RuntimeError("the sink ended")
    return time.monotonic() - started


def _serve(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        print(door.getsockname()[1], flush=True)
        line, _ = door.accept()
        number = 0
        with line, line.makefile("rb") as reading:
            while head := reading.read(_SIZE.size):
                content = reading.read(_SIZE.unpack(head)[0])
                number += 1
                with (folder / str(number)).open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                line.sendall(b"1")


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
