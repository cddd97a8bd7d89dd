"""The doors: where each one listens and how it knows who knocks."""

import ipaddress
import logging
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

LOG = logging.getLogger("hie.edge")
DOORS = ("house", "peer", "ops")
BACKLOG = 1024
# TLS 1.3 has only AEAD ciphers; these are the AEAD ones of TLS 1.2 with forward secrecy.
TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class UnsafeListener(ValueError):
    """A listener that would be reachable without what protects it; nothing was opened."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"listener {name}: {reason}; it was not opened")


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What a door shows, and which certificates it demands: PEM files, read again when they change.

    client_ca_file  signers of the certificates that clients must show; None: clients show none
    """

    certificate_file: Path
    key_file: Path
    client_ca_file: Path | None = None

    @property
    def files(self) -> list[Path]:
        return [file for file in (self.certificate_file, self.key_file, self.client_ca_file) if file]


@dataclass(frozen=True, slots=True)
class Listener:
    """One door: house (this hospital), peer (other nodes) or ops (this machine's own monitoring).

    Without TLS only a loopback address is accepted, for ops always.
    """

    name: str
    host: str
    port: int
    tls: ServerTls | None = None

    def __post_init__(self) -> None:
        if self.name not in DOORS:
            raise UnsafeListener(self.name, f"a door is one of {', '.join(DOORS)}")
        if self.name == "peer" and (self.tls is None or self.tls.client_ca_file is None):
            raise UnsafeListener(self.name, "other nodes must show a certificate of the federation")
        if (self.tls is None or self.name == "ops") and not is_loopback(self.host):
            raise UnsafeListener(self.name, "expected a loopback address, because it speaks plain HTTP")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def open_listener(listener: Listener) -> socket.socket:
    """A listening socket, not blocking. A port of a node that has just ended is free at once."""
    family, kind, proto, _, address = socket.getaddrinfo(
        listener.host, listener.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def server_context(tls: ServerTls) -> ssl.SSLContext:
    """TLS 1.3, and 1.2 with AEAD ciphers. No tickets: a resumed session would outlive its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS12_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(tls.certificate_file, tls.key_file)
    if tls.client_ca_file is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(tls.client_ca_file)
    return context


class CertificateWatch:
    """The current context of one door: a new handshake gets the files as they are now.

    Files that do not fit together (a new certificate, its key still old) leave the last good context in use.
    """

    def __init__(self, tls: ServerTls) -> None:
        self._tls = tls
        self._seen = self._stamp()
        self._context = server_context(tls)

    def _stamp(self) -> list[tuple[int, int, int]]:
        found = [file.stat() for file in self._tls.files]
        return [(status.st_mtime_ns, status.st_size, status.st_ino) for status in found]

    def context(self) -> ssl.SSLContext:
        try:
            stamp = self._stamp()
            if stamp != self._seen:
                self._seen = stamp
                self._context = server_context(self._tls)
                LOG.info("the certificate of a door was read again")
        except (OSError, ssl.SSLError) as error:
            LOG.error("the new certificate of a door cannot be used, the last one stays: %s", type(error).__name__)
        return self._context
