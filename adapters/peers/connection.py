"""One TLS connection to one peer: every read and write within a deadline, and who is at the other end is checked.

A time-out of a socket counts from its last byte, so a peer that sends one byte a second never meets it. Here each
operation gets what is left of the whole time, and reads also have an allowance of bytes, whatever the headers say.
"""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import urllib3.exceptions
from urllib3.connection import HTTPSConnection

from adapters.peers.addresses import Resolver
from adapters.peers.errors import PeerBroken, PeerError, PeerTooSlow, PeerUnreachable
from adapters.trust import certificates
from adapters.trust.errors import CertificateUnusable
from registry.directory import Peer
from registry.identifiers import HomeCommunityId

# its one warning, about headers that it cannot read, quotes the URL
logging.getLogger("urllib3.connection").setLevel(logging.CRITICAL)


class Overrun(Exception):
    """More bytes than were allowed."""


class WatchedSocket(ssl.SSLSocket):
    """A TLS socket with a deadline (`time.monotonic()`) over all operations, and an allowance of bytes to receive."""

    _deadline: float | None = None
    _allowance = 0

    def watch(self, *, deadline: float, allowance: int) -> None:
        self._deadline, self._allowance = deadline, allowance

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        if self._deadline is None:
            return super().recv_into(buffer, nbytes, flags)
        if self._allowance <= 0:
            raise Overrun
        self._arm(self._deadline)
        count = super().recv_into(buffer, nbytes, flags)
        self._allowance -= count
        return count

    def send(self, data: Any, flags: int = 0) -> int:
        if self._deadline is not None:
            self._arm(self._deadline)
        return super().send(data, flags)

    def _arm(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline")
        self.settimeout(left)

    def quiet(self) -> bool:
        """Open, and with nothing to say: fit for the next question. Session tickets are taken in, bytes are not."""
        self.settimeout(0)
        try:
            self.recv(1)
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False
        return False


class _Answer(http.client.HTTPResponse):
    """Lets go of the socket when its head cannot be read, which the library leaves to chance."""

    def begin(self) -> None:
        try:
            super().begin()
        except BaseException:
            self.close()
            raise


class PeerConnection(HTTPSConnection):
    """A connection that exists only if the certificate at the other end names the community that is meant."""

    response_class = _Answer

    def __init__(self, peer: Peer, context: ssl.SSLContext, resolver: Resolver, *, deadline: float) -> None:
        parts = urlsplit(peer.peer_url)
        super().__init__(str(parts.hostname), parts.port or 443, ssl_context=context)
        self._peer, self._resolver, self._deadline = peer, resolver, deadline
        self.idle_since = 0.0

    def _new_conn(self) -> socket.socket:
        home = self._peer.home
        try:
            addresses = self._resolver.addresses(self.host, self.port or 443, deadline=self._deadline)
        except OSError as error:
            raise PeerUnreachable("address", home) from error
        failure = PeerUnreachable("connect-timeout", home)
        for number, address in enumerate(addresses):
            left = self._deadline - time.monotonic()
            if left <= 0:
                break
            try:
                # a share for each address, so that one that swallows packets leaves time for the next
                sock = socket.create_connection(address, timeout=left / (len(addresses) - number))
            except TimeoutError:
                continue
            except OSError:
                failure = PeerUnreachable("refused", home)
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # the handshake as a whole has what is left (OpenSSL is driven with one deadline for it)
            sock.settimeout(max(0.001, self._deadline - time.monotonic()))
            return sock
        raise failure

    def connect(self) -> None:
        """Raises PeerBroken and closes when another community, or none, is at the other end."""
        try:
            super().connect()
            self._check_certificate()
        except BaseException:
            self.close()
            raise

    def _check_certificate(self) -> None:
        der = self.tls.getpeercert(binary_form=True) or b""
        try:
            found = certificates.home_of(der)
        except CertificateUnusable as error:
            raise PeerBroken("certificate", self._peer.home) from error
        if found != self._peer.home:
            raise PeerBroken("other-community", self._peer.home)
        if self._peer.thumbprints and certificates.thumbprint(der) not in self._peer.thumbprints:
            raise PeerBroken("certificate", self._peer.home)

    @property
    def tls(self) -> WatchedSocket:
        sock = self.sock
        if not isinstance(sock, WatchedSocket):
            raise PeerBroken("closed", self._peer.home)
        return sock

    @property
    def reusable(self) -> bool:
        return isinstance(self.sock, WatchedSocket) and self.sock.quiet()


@contextmanager
def as_peer_errors(home: HomeCommunityId, *, too_slow: str = "deadline") -> Iterator[None]:
    """What the network libraries raise, as one of the three nouns."""
    try:
        yield
    except PeerError:
        raise
    except (TimeoutError, urllib3.exceptions.TimeoutError) as error:
        raise PeerTooSlow(too_slow, home) from error
    except ssl.SSLCertVerificationError as error:
        raise PeerBroken("certificate", home) from error
    except (ssl.SSLError, urllib3.exceptions.SSLError) as error:
        raise PeerBroken("tls", home) from error
    except Overrun as error:
        raise PeerBroken("too-much", home) from error
    except urllib3.exceptions.HTTPError as error:
        raise PeerBroken("cut-off", home) from error
    except OSError as error:  # before the next: a hang-up is both
        raise PeerBroken("closed", home) from error
    except (http.client.HTTPException, ValueError) as error:
        raise PeerBroken("not-http", home) from error
