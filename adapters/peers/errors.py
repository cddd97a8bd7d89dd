"""What becomes of a question that got no usable answer; each is one line of the whole answer, never more.

PeerFailure
├── PeerUnreachable    no connection: no address, refused, timed out, or not tried since it kept failing
├── PeerTooSlow        connected, and not done when the time was over
└── PeerBroken         an answer, or a partner, that cannot be used
"""

from __future__ import annotations

from registry.identifiers import HomeCommunityId


class PeerFailure(Exception):
    """Base. `reason` is a short code; nothing that the peer sent is in it."""

    says = "failed"

    def __init__(self, home: HomeCommunityId, reason: str) -> None:
        self.home, self.reason = home, reason
        super().__init__(f"{home} {self.says}: {reason}")


class PeerUnreachable(PeerFailure):
    """No connection: `address`, `refused`, `connect-timeout`, `circuit-open`."""

    says = "is unreachable"


class PeerTooSlow(PeerFailure):
    """Not done when the time was over: `deadline` for a whole answer, `stalled` for a part of a stream."""

    says = "was too slow"


class PeerBroken(PeerFailure):
    """An answer, or a partner, that cannot be used.

    `certificate`, `other-community`, `tls`, `closed`, `not-http`, `redirect`, `encoded`, `unframed`, `cut-off`,
    `too-much`
    """

    says = "cannot be used"
