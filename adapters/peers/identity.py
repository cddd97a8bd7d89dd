"""With which certificate this node speaks to its peers, and whose certificates it believes; re-read when renewed."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from adapters.peers.connection import WatchedSocket
from adapters.trust import certificates
from adapters.trust.errors import CertificateUnusable
from adapters.trust.files import Stamp, stamp


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """One reading of the files; connections made with another one are not used again."""

    context: ssl.SSLContext
    thumbprint: str


class IdentityFiles:
    """Certificate, key and federation authority on disk; half a renewal changes nothing until the rest is there."""

    def __init__(self, certificate: Path, key: Path, authority: Path) -> None:
        self._files = (certificate, key, authority)
        self._lock = Lock()
        self._stamp: Stamp = stamp(self._files)
        self._current = self._read()
        self.trouble = ""

    def current(self) -> Identity:
        """What to use now; costs three `stat` calls when nothing has changed."""
        if stamp(self._files) != self._stamp:
            with self._lock:
                self._renew()
        return self._current

    def _renew(self) -> None:
        seen = stamp(self._files)
        if seen == self._stamp:
            return
        try:
            self._current = self._read()
        except (OSError, CertificateUnusable) as error:
            # certificate and key are two files: between the two they do not fit, and the old pair goes on
            self.trouble = f"the renewed certificate cannot be used yet: {type(error).__name__}"
        else:
            self._stamp, self.trouble = seen, ""

    def _read(self) -> Identity:
        certificate, key, authority = self._files
        return Identity(_context(certificate, key, authority), _thumbprint(certificate))


def _thumbprint(certificate: Path) -> str:
    return certificates.thumbprint(certificates.to_der(certificate.read_bytes()))


def _context(certificate: Path, key: Path, authority: Path) -> ssl.SSLContext:
    """TLS 1.3, the federation's authority and nothing of the environment (made bare: no SSLKEYLOGFILE, no defaults)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.hostname_checks_common_name = False
    context.load_verify_locations(cafile=str(authority))
    context.load_cert_chain(str(certificate), str(key))
    context.sslsocket_class = WatchedSocket
    return context
