"""From every error of the rooms to its HTTP status and OperationOutcome: one table.

A refusal looks like an absence: 404 has the same words for both, and what establishes who asks keeps its reason for the
record. Texts come from the errors, which hold nothing personal.

Source: HL7 FHIR R4, 3.1.0.4 (status codes), http://hl7.org/fhir/issue-type
"""

from __future__ import annotations

from adapters.fhir import issues, negotiation
from adapters.fhir.issues import FhirError, Issue, operation_outcome
from adapters.fhir.json_format import to_json
from adapters.fhir.writing import answer_format
from adapters.fhir.xml_format import to_xml
from adapters.peers import errors as peers
from adapters.wire import WireRequest, WireResponse
from consent import errors as consent
from registry import errors as registry

ABSENT = "Nothing is known here under this address."
UNKNOWN_ASKER = "Who asks could not be established."
OUT_OF_SCOPE = "The token does not reach this far."
NOT_HONOURED = "The receipt cannot be honoured."
OTHER_HOSPITAL = "The hospital that holds this cannot be reached now, or its answer cannot be used; try again."
UNEXPECTED = "Something went wrong here; the request was not carried out."
RETRY_SECONDS = 30

CODES: dict[type[Exception], tuple[int, str]] = {
    registry.RegistryError: (500, "exception"),
    registry.InvalidValue: (422, "value"),
    registry.InvalidIdentifier: (422, "value"),
    registry.WrongId: (400, "invalid"),
    registry.Unreadable: (400, "invalid"),
    registry.TooLarge: (413, "too-long"),
    registry.SubmissionRejected: (422, "business-rule"),
    registry.UnknownPatient: (422, "not-found"),
    registry.PatientMismatch: (422, "business-rule"),
    registry.NonIdenticalContent: (422, "conflict"),
    registry.NonIdenticalHash: (422, "conflict"),
    registry.NonIdenticalSize: (422, "conflict"),
    registry.DuplicateUniqueId: (422, "duplicate"),
    registry.MissingContent: (422, "required"),
    registry.UnresolvedReference: (422, "not-found"),
    registry.DeprecatedTarget: (422, "conflict"),
    registry.ConditionFitsSeveral: (412, "multiple-matches"),
    registry.ForeignDomain: (403, "forbidden"),
    registry.ChangeRejected: (422, "business-rule"),
    registry.OtherPatient: (422, "business-rule"),
    registry.StillReferenced: (409, "conflict"),
    registry.LeftAlone: (409, "conflict"),
    registry.StillRegistered: (409, "conflict"),
    registry.UnknownAuthority: (400, "code-invalid"),
    registry.UnknownTargetSystem: (403, "code-invalid"),
    registry.NotFound: (404, "not-found"),
    registry.NoSuchRepository: (404, "not-found"),
    registry.NoSuchCommunity: (404, "not-found"),
    registry.OtherForm: (406, "not-supported"),
    registry.Gone: (410, "deleted"),
    registry.NotUnique: (412, "multiple-matches"),
    registry.VersionConflict: (412, "conflict"),
    registry.StorageUnavailable: (503, "transient"),
    registry.ArchiveUnavailable: (503, "transient"),
    registry.NotDrawable: (406, "not-supported"),
    consent.ConsentError: (500, "exception"),
    consent.InvalidConsent: (422, "business-rule"),
    consent.EvidenceMissing: (422, "required"),
    consent.RepresentativeMissing: (422, "required"),
    consent.InvalidReceipt: (403, "forbidden"),
    consent.EmergencyRefused: (403, "forbidden"),
    consent.ErasureRefused: (403, "forbidden"),
    consent.ReleaseRefused: (403, "forbidden"),
    consent.SubscriptionRefused: (422, "business-rule"),
    consent.QuotaReached: (429, "throttled"),
    consent.TokenRefused: (401, "login"),
    consent.TokenReplayed: (401, "login"),
    consent.ScopeMissing: (403, "forbidden"),
    peers.PeerError: (502, "transient"),
    peers.PeerBroken: (502, "processing"),
    peers.PeerUnreachable: (504, "transient"),
    peers.PeerTooSlow: (504, "timeout"),
    FhirError: (500, "exception"),
    issues.BadRequest: (400, "invalid"),
    issues.NotFound: (404, "not-found"),
    issues.NotAcceptable: (406, "not-supported"),
    issues.Conflict: (409, "conflict"),
    issues.Gone: (410, "deleted"),
    issues.PreconditionFailed: (412, "conflict"),
    issues.ContentTooLarge: (413, "too-long"),
    issues.UnsupportedMediaType: (415, "not-supported"),
    issues.Unprocessable: (422, "business-rule"),
}

# The reason is for the record; an outsider learns as much as from silence.
_FIXED_TEXTS: dict[type[Exception], str] = {
    registry.NotFound: ABSENT,
    registry.NoSuchRepository: ABSENT,
    registry.NoSuchCommunity: ABSENT,
    consent.InvalidReceipt: NOT_HONOURED,
    consent.TokenRefused: UNKNOWN_ASKER,
    consent.TokenReplayed: UNKNOWN_ASKER,
    consent.ScopeMissing: OUT_OF_SCOPE,
    peers.PeerError: OTHER_HOSPITAL,
    peers.PeerBroken: OTHER_HOSPITAL,
    peers.PeerUnreachable: OTHER_HOSPITAL,
    peers.PeerTooSlow: OTHER_HOSPITAL,
    registry.RegistryError: UNEXPECTED,
    consent.ConsentError: UNEXPECTED,
}


def error(exception: Exception, request: WireRequest) -> WireResponse:
    """Any exception as FHIR answers it, in the format that was asked for, in JSON where that is none of ours."""
    status, told = describe(exception)
    try:
        form = answer_format(request)
    except FhirError:
        form = "json"
    outcome = operation_outcome(told)
    body = to_xml(outcome) if form == "xml" else to_json(outcome)
    headers = [("Content-Type", negotiation.MEDIA_TYPES[form]), ("Content-Length", str(len(body)))]
    headers += _special_headers(exception)
    shown = b"" if request.method == "HEAD" else body
    return WireResponse(status, (*headers, ("Cache-Control", "no-store"), ("Vary", "Accept")), shown)


def describe(exception: Exception) -> tuple[int, tuple[Issue, ...]]:
    """Status and issues of any exception; one that is not of the rooms says nothing of its inside."""
    if isinstance(exception, FhirError):
        absent = (Issue("error", "not-found", ABSENT),)
        return exception.status, absent if exception.status == 404 else exception.issues
    kind = next((each for each in type(exception).__mro__ if each in CODES), None)
    if kind is None:
        return 500, (Issue("fatal", "exception", UNEXPECTED),)
    status, code = CODES[kind]
    at = (exception.element.removesuffix("[x]"),) if isinstance(exception, consent.InvalidConsent) else ()
    return status, (Issue("error", code, _FIXED_TEXTS.get(kind, str(exception)), at),)


def _special_headers(exception: Exception) -> list[tuple[str, str]]:
    if isinstance(exception, registry.StorageUnavailable):
        return [("Retry-After", str(RETRY_SECONDS))]
    if isinstance(exception, consent.TokenRefused):
        scope = ' error="insufficient_scope"' if isinstance(exception, consent.ScopeMissing) else ""
        return [("WWW-Authenticate", f"Bearer{scope}")]
    return []
