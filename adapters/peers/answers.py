"""Why the answer of a peer cannot be used."""

from __future__ import annotations


class BadAnswer(Exception):
    """An answer that is not what was asked for: wrong form, wrong patient, too much.

    `reason` holds nothing personal.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
