"""What DICOMweb refuses by itself, and every error of the rooms as a status with an RFC 9457 problem.

DicomwebError
├── BadParameter          400  a parameter that is unknown, malformed or not supported
├── NotAcceptable         406  no form or transfer syntax in common
└── UnsupportedMedia      415  not multipart/related of application/dicom
Unreadable (of the registry)
├── OtherInstance         400  a file whose own header names another instance than its data set
└── BrokenMultipart       400  a multipart body that cannot be read to its end
    ├── WrongBoundary          the announced boundary does not occur
    ├── MissingEndBoundary     the body was cut
    └── TooManyParts

A refusal looks like absence: both are the same 404 with the same words. Texts name rules and places, never content.
"""

from __future__ import annotations

import json
from typing import Any

from adapters.peers import errors as peers
from adapters.wire import WireRequest, WireResponse
from consent import errors as consent
from registry import errors as registry

PROBLEM = "application/problem+json"
_OTHER_HOSPITAL = "the hospital that holds this cannot be reached now, or its answer cannot be used; try again"
_ABSENT = "no such thing here, or none that may be seen"


class DicomwebError(Exception):
    """Base of what only this language refuses."""


class BadParameter(DicomwebError):
    """A parameter that is unknown, malformed or not supported; nothing is ignored silently."""

    def __init__(self, name: str, expected: str) -> None:
        self.name, self.expected = _safe(name), expected
        super().__init__(f"{self.name}: {expected}")


class NotAcceptable(DicomwebError):
    """Nothing that the caller accepts can be produced; stored objects are never transcoded."""

    def __init__(self, offered: str) -> None:
        self.offered = offered
        super().__init__(f"what can be had: {offered}")


class UnsupportedMedia(DicomwebError):
    """The body is not what this transaction takes."""

    def __init__(self, expected: str) -> None:
        self.expected = expected
        super().__init__(f"expected {expected}")


class OtherInstance(registry.Unreadable):
    """A file whose own header names another instance than its data set."""

    def __init__(self) -> None:
        super().__init__("DICOM file", "the file's own header and its data set name different instances")


class BrokenMultipart(registry.Unreadable):
    """A multipart body that cannot be read to its end."""

    def __init__(self, reason: str) -> None:
        super().__init__("multipart body", reason)


class WrongBoundary(BrokenMultipart):
    """The boundary that the header announces does not occur in the body."""

    def __init__(self) -> None:
        super().__init__("the announced boundary does not occur")


class MissingEndBoundary(BrokenMultipart):
    """The body ends before its closing boundary: it was cut on the way."""

    def __init__(self) -> None:
        super().__init__("ends before its closing boundary")


class TooManyParts(BrokenMultipart):
    """More parts than one request may have."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"more than {limit} parts")


STATUS: dict[type[Exception], tuple[int, str]] = {
    DicomwebError: (400, "the request cannot be answered"),
    BadParameter: (400, "a parameter cannot be used"),
    NotAcceptable: (406, "not available in an accepted form"),
    UnsupportedMedia: (415, "unsupported content type"),
    OtherInstance: (400, "the content cannot be read"),
    BrokenMultipart: (400, "the body cannot be read"),
    WrongBoundary: (400, "the body cannot be read"),
    MissingEndBoundary: (400, "the body cannot be read"),
    TooManyParts: (413, "too much at once"),
    registry.RegistryError: (500, "the request failed"),
    registry.InvalidValue: (400, "a value is not allowed"),
    registry.InvalidIdentifier: (400, "an identifier has the wrong form"),
    registry.WrongId: (400, "a value is not allowed"),
    registry.Unreadable: (400, "the content cannot be read"),
    registry.NotDrawable: (406, "no picture can be made of this"),
    registry.TooLarge: (413, "too large"),
    registry.SubmissionRejected: (409, "nothing was stored"),
    registry.UnknownPatient: (409, "the patient is not known here"),
    registry.PatientMismatch: (409, "two different patients"),
    registry.NonIdenticalContent: (409, "already stored with other bytes"),
    registry.NonIdenticalHash: (409, "already stored with other bytes"),
    registry.NonIdenticalSize: (409, "already stored with other bytes"),
    registry.DuplicateUniqueId: (409, "this unique identifier is used already"),
    registry.MissingContent: (400, "content is missing"),
    registry.UnresolvedReference: (409, "a reference leads nowhere"),
    registry.ConditionFitsSeveral: (412, "several fit the condition"),
    registry.DeprecatedTarget: (409, "superseded already"),
    registry.ForeignDomain: (409, "these identifiers are assigned elsewhere"),
    registry.ChangeRejected: (409, "nothing was changed"),
    registry.OtherPatient: (409, "two different patients"),
    registry.StillReferenced: (409, "still referred to"),
    registry.LeftAlone: (409, "still referred to"),
    registry.StillRegistered: (409, "still registered"),
    registry.UnknownAuthority: (400, "this assigning authority is not known here"),
    registry.UnknownTargetSystem: (400, "this assigning authority is not known here"),
    registry.NotFound: (404, _ABSENT),
    registry.NoSuchRepository: (404, _ABSENT),
    registry.NoSuchCommunity: (404, _ABSENT),
    registry.OtherForm: (406, "not available in an accepted form"),
    registry.Gone: (410, "deleted"),
    registry.NotUnique: (409, "more than one patient matches"),
    registry.VersionConflict: (409, "changed meanwhile"),
    registry.StorageUnavailable: (503, "try again later"),
    registry.ArchiveUnavailable: (503, "try again later"),
    consent.ConsentError: (500, "the request failed"),
    consent.InvalidConsent: (400, "the consent is not valid"),
    consent.EvidenceMissing: (400, "the consent is not valid"),
    consent.RepresentativeMissing: (400, "the consent is not valid"),
    consent.InvalidReceipt: (404, _ABSENT),
    consent.EmergencyRefused: (403, "emergency access was refused"),
    consent.SubscriptionRefused: (400, "the subscription cannot be kept"),
    consent.ErasureRefused: (403, "only the data protection officer erases a patient"),
    consent.ReleaseRefused: (403, "only a doctor or the data protection officer releases a text"),
    consent.QuotaReached: (429, "too many patients today"),
    consent.TokenRefused: (401, "who asks could not be established"),
    consent.TokenReplayed: (401, "who asks could not be established"),
    consent.ScopeMissing: (403, "the token does not reach this far"),
    peers.PeerError: (502, _OTHER_HOSPITAL),
    peers.PeerBroken: (502, _OTHER_HOSPITAL),
    peers.PeerUnreachable: (504, _OTHER_HOSPITAL),
    peers.PeerTooSlow: (504, _OTHER_HOSPITAL),
}

# their texts say more than an outsider may learn, or nothing that helps
_WITHOUT_DETAIL = (registry.NotFound, registry.StorageUnavailable, consent.InvalidReceipt, consent.TokenRefused)


def problem(error: Exception, request: WireRequest) -> WireResponse:
    """The answer to a failed request. An error of no room is a fault of ours: 500, and not a word about it."""
    known = next((kind for kind in type(error).__mro__ if kind in STATUS), None)
    status, title = STATUS[known] if known is not None else (500, "the request failed")
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status}
    if 400 <= status < 500 and not isinstance(error, _WITHOUT_DETAIL):
        body["detail"] = _detail(error)
    headers = [("Content-Type", PROBLEM), ("Cache-Control", "no-store")]
    if status == 503:
        headers.append(("Retry-After", "30"))
    if isinstance(error, consent.TokenRefused):
        headers.append(("WWW-Authenticate", _challenge(error)))
    return WireResponse(status, tuple(headers), json.dumps(body, ensure_ascii=False).encode())


def _challenge(error: consent.TokenRefused) -> str:
    """Source: RFC 6750 section 3."""
    return 'Bearer error="insufficient_scope"' if isinstance(error, consent.ScopeMissing) else "Bearer"


def _detail(error: Exception) -> str:
    # what was found came from the request and may name a patient
    if isinstance(error, registry.InvalidValue):
        return f"{_safe(error.element)}: expected {error.expected}"
    return str(error)


def _safe(name: str) -> str:
    """A parameter's name as far as it can be repeated: people type values into the wrong field."""
    return (
        name if len(name) <= 64 and all(c.isascii() and (c.isalnum() or c in " ._-[]") for c in name) else "parameter"
    )
