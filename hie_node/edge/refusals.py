"""What the edge answers by itself: one short document, in the language of the door that was knocked at.

Source: RFC 9457 (problem details); FHIR R4 OperationOutcome, value set issue-type.
"""

import json
from http import HTTPStatus


class Refusal(Exception):
    """The edge answers this request itself, and then closes the connection.

    status  HTTP status
    reason  one fixed sentence; never a part of what was received
    """

    def __init__(self, status: int, reason: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(f"{status}: {reason}")


class UpstreamBroken(Exception):
    """A worker went away, or spoke nonsense, before its answer was complete."""


class StalledReader(Exception):
    """The client takes its answer so slowly that it counts as gone."""


ISSUE_CODES = {
    408: "timeout",
    413: "too-long",
    415: "not-supported",
    417: "not-supported",
    431: "too-long",
    500: "exception",
    502: "transient",
    503: "transient",
    504: "timeout",
    507: "no-store",
}
RETRY_AFTER_SECONDS = {503: 2, 507: 60}


def speaks_fhir(path: bytes) -> bool:
    """Whether a client of this path expects an OperationOutcome."""
    return any(path == base or path.startswith(base + b"/") for base in (b"/fhir", b"/network/fhir"))


def encode(refusal: Refusal, path: bytes, *, head_only: bool = False) -> bytes:
    """The whole answer, head and body; the connection closes behind it."""
    phrase = HTTPStatus(refusal.status).phrase
    if speaks_fhir(path):
        media = "application/fhir+json"
        code = ISSUE_CODES.get(refusal.status, "invalid")
        issue = {"severity": "error", "code": code, "details": {"text": refusal.reason}}
        body = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
    else:
        media = "application/problem+json"
        body = json.dumps({"title": phrase, "status": refusal.status, "detail": refusal.reason}).encode()
    lines = [
        f"HTTP/1.1 {refusal.status} {phrase}",
        f"Content-Type: {media}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    if wait := RETRY_AFTER_SECONDS.get(refusal.status):
        lines.append(f"Retry-After: {wait}")
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if head_only else body)
