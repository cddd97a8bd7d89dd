"""What a CDS service refuses by itself; everything else is answered as at the other doors that speak RFC 9457.

PrefetchMissing   412  what the service needs to know the patient was neither sent nor can be found here
"""

from __future__ import annotations

import json

from adapters.dicom.errors import PROBLEM
from adapters.dicom.errors import problem as of_the_rooms
from adapters.wire import WireRequest, WireResponse


class PrefetchMissing(Exception):
    """The patient is not known by the id in the context, and no prefetch says who it is."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"prefetch {key}: it was not sent, and the context alone does not say who is meant")


def problem(error: Exception, request: WireRequest) -> WireResponse:
    """An error as CDS Hooks has it: the HTTP status, and a problem as its body."""
    if not isinstance(error, PrefetchMissing):
        return of_the_rooms(error, request)
    body = {"type": "about:blank", "title": "precondition failed", "status": 412, "detail": str(error)}
    headers = (("Content-Type", PROBLEM), ("Cache-Control", "no-store"))
    return WireResponse(412, headers, json.dumps(body).encode())
