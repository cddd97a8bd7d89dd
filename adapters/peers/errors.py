"""What becomes of a question that got no usable answer; each is one line of the whole answer, never more.

PeerError
├── PeerUnreachable    no connection: no address, refused, timed out, or not tried since it kept failing
├── PeerTooSlow        connected, and not done when the time was over
└── PeerBroken         an answer, or a partner, that cannot be used
"""

from __future__ import annotations

from registry.identifiers import HomeCommunityId


class PeerError(Exception):
    """Base. `reason` is a short code; nothing that the peer sent is in it."""

    says = "failed"

    def __init__(self, reason: str, home: HomeCommunityId | None = None) -> None:
        self.reason, self.home = reason, home
        super().__init__(f"{home or 'the peer'} {self.says}: {reason}")


class PeerUnreachable(PeerError):
    """No connection: `address`, `refused`, `connect-timeout`, `circuit-open`."""

    says = "is unreachable"


class PeerTooSlow(PeerError):
    """Not done when the time was over: `deadline` for a whole answer, `stalled` for a part of a stream."""

    says = "was too slow"


class PeerBroken(PeerError):
    """An answer, or a partner, that cannot be used.

    `certificate`, `other-community`, `tls`, `closed`, `not-http`, `redirect`, `encoded`, `unframed`, `cut-off`,
    `too-much`, `other-bytes` than listed, `other-range` than asked for, `other-type` of content
    """

    says = "cannot be used"
