"""A file over TLS, as fast as Python can write it: what any relay is held against. Prints its port."""

from __future__ import annotations

import mmap
import socket
import ssl
import sys
from pathlib import Path
from threading import Thread

PIECE = 256 << 10


def _main() -> None:
    file, tls = Path(sys.argv[1]), Path(sys.argv[2])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "house.crt", tls / "house.key")
    with socket.create_server(("127.0.0.1", 0)) as listener, file.open("rb") as opened:
        content = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
        print(listener.getsockname()[1], flush=True)
        while True:
            plain, _ = listener.accept()
            Thread(target=_send, args=(context, plain, content), daemon=True).start()


def _send(context: ssl.SSLContext, plain: socket.socket, content: memoryview) -> None:
    with context.wrap_socket(plain, server_side=True) as tls:
        while b"\r\n\r\n" not in tls.recv(65536):
            pass
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content))
        for start in range(0, len(content), PIECE):
            tls.sendall(content[start : start + PIECE])


if __name__ == "__main__":
    _main()
