"""Errors as SOAP answers them: in a fault what concerns the message or who sent it, in a RegistryErrorList all else.

Source: IHE ITI TF-3: Table 4.2.4.1-2 (error codes), 4.2.4.2; SOAP 1.2 Part 1: 5.4; WS-Security 1.1: 12
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from adapters.dicom.errors import BrokenMultipart
from adapters.dicom.multipart import Writer
from adapters.peers import errors as peers
from adapters.soap.envelope import Message, text, write_envelope
from adapters.soap.errors import MetadataFault, QueryFault, RegistryRefusal, SoapError, SoapFault, V3Refusal
from adapters.soap.mtom import SOAP_XML, XOP_XML
from adapters.soap.names import ERROR, FAILURE, ITI_2007, PARTIAL, RAD_2009, SUCCESS, WARNING, WSA, WSSE
from adapters.wire import Pairs, WireRequest, WireResponse
from consent import errors as consent
from registry import errors as registry

_ANSWERED_AS = {
    RAD_2009 + "RetrieveImagingDocumentSet": ITI_2007 + "RetrieveDocumentSet",
    "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry": "urn:ihe:iti:2010:RegisterOnDemandDocument",
}
FAULT_ACTION = WSA + "/fault"
LONGEST_CONTEXT = 256
ABSENT = "not known here"
TRY_AGAIN = "try again later"
OURS = "Something went wrong here."

XDS_CODES: dict[type[Exception], str] = {
    registry.RegistryError: "XDSRegistryError",
    registry.InvalidValue: "XDSRegistryMetadataError",
    registry.InvalidIdentifier: "XDSRegistryMetadataError",
    registry.WrongId: "XDSRegistryMetadataError",
    registry.SubmissionRejected: "XDSRegistryError",
    registry.UnknownPatient: "XDSUnknownPatientId",
    registry.PatientMismatch: "XDSPatientIdDoesNotMatch",
    registry.NonIdenticalContent: "XDSNonIdenticalHash",
    registry.NonIdenticalHash: "XDSNonIdenticalHash",
    registry.NonIdenticalSize: "XDSNonIdenticalSize",
    registry.DuplicateUniqueId: "XDSDuplicateUniqueIdInRegistry",
    registry.MissingContent: "XDSMissingDocument",
    registry.UnresolvedReference: "UnresolvedReferenceException",
    registry.ConditionFitsSeveral: "XDSRegistryError",
    registry.DeprecatedTarget: "XDSRegistryDeprecatedDocumentError",
    registry.ForeignDomain: "XDSUnknownPatientId",
    registry.ChangeRejected: "XDSMetadataUpdateError",
    registry.OtherPatient: "XDSPatientIDReconciliationError",
    registry.StillReferenced: "ReferencesExistException",
    registry.LeftAlone: "XDSUnreferencedObjectException",
    registry.StillRegistered: "XDSRepositoryError",
    registry.UnknownAuthority: "XDSUnknownPatientId",
    registry.UnknownTargetSystem: "XDSUnknownPatientId",
    registry.NotFound: "XDSDocumentUniqueIdError",
    registry.NoSuchRepository: "XDSUnknownRepositoryId",
    registry.NoSuchCommunity: "XDSUnknownCommunity",
    registry.OtherForm: "XDSRepositoryError",
    registry.Gone: "XDSDocumentUniqueIdError",
    registry.NotUnique: "XDSRegistryError",
    registry.VersionConflict: "XDSMetadataVersionError",
    registry.StorageUnavailable: "XDSRegistryBusy",
    registry.ArchiveUnavailable: "XDSRepositoryBusy",
    registry.NotDrawable: "XDSRepositoryError",
    consent.ConsentError: "XDSRegistryError",
    consent.InvalidConsent: "XDSRegistryError",
    consent.EvidenceMissing: "XDSRegistryError",
    consent.RepresentativeMissing: "XDSRegistryError",
    consent.EmergencyRefused: "XDSRegistryError",
    consent.SubscriptionRefused: "XDSRegistryError",
    consent.ErasureRefused: "XDSRegistryError",
    consent.ReleaseRefused: "XDSRegistryError",
    consent.QuotaReached: "XDSRegistryBusy",
    consent.InvalidReceipt: "XDSDocumentUniqueIdError",
    peers.PeerError: "XDSUnavailableCommunity",
    peers.PeerBroken: "XDSUnavailableCommunity",
    peers.PeerUnreachable: "XDSUnavailableCommunity",
    peers.PeerTooSlow: "XDSUnavailableCommunity",
    SoapError: "XDSRegistryError",
    V3Refusal: "XDSRegistryError",
    RegistryRefusal: "XDSRegistryError",
    MetadataFault: "XDSRegistryMetadataError",
    QueryFault: "XDSRegistryError",
}

FAULTS: dict[type[Exception], tuple[str, str, int, str]] = {
    SoapFault: ("Sender", "", 400, ""),
    registry.Unreadable: ("Sender", "", 400, "The message cannot be read."),
    BrokenMultipart: ("Sender", "", 400, "The package cannot be read to its end."),
    registry.TooLarge: ("Sender", "", 413, "The message is larger than is taken here."),
    consent.TokenRefused: ("Sender", "wsse:FailedAuthentication", 401, "Who asks could not be established."),
    consent.TokenReplayed: ("Sender", "wsse:FailedAuthentication", 401, "Who asks could not be established."),
    consent.ScopeMissing: ("Sender", "wsse:FailedAuthentication", 403, "This is not open to who asks."),
}
"""SOAP code, subcode, HTTP status and words; a SoapFault brings its own."""

# their texts say more than an outsider may learn, or nothing that helps
_WORDS: dict[type[Exception], str] = {
    registry.NotFound: ABSENT,
    registry.Gone: ABSENT,
    consent.InvalidReceipt: ABSENT,
    registry.StorageUnavailable: TRY_AGAIN,
    registry.ArchiveUnavailable: TRY_AGAIN,
    peers.PeerError: "the community that holds this cannot be reached now, or its answer cannot be used",
}


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """One RegistryError."""

    code: str
    told: str
    location: str = ""
    severity: str = ERROR


def error_line(error: Exception, *, location: str = "") -> ErrorLine:
    """The line of a known error; KeyError for one that is in no table."""
    kind = next((each for each in type(error).__mro__ if each in XDS_CODES), None)
    if kind is None:
        raise KeyError(type(error).__name__)
    if isinstance(error, RegistryRefusal):
        return ErrorLine(error.code, error.told, error.location or location)
    words = next((_WORDS[each] for each in type(error).__mro__ if each in _WORDS), None)
    return ErrorLine(XDS_CODES[kind], words or _told(error), location)


def _told(error: Exception) -> str:
    # what was found came from the message and may name a patient
    if isinstance(error, registry.InvalidValue):
        return f"{error.element}: expected {error.expected}; {registry.NOTHING_STORED}"
    return str(error)


def is_fault(error: Exception) -> bool:
    """Whether it is answered by a fault: the message, who sent it, or a fault of ours."""
    kinds = type(error).__mro__
    return any(kind in FAULTS for kind in kinds) or not any(kind in XDS_CODES for kind in kinds)


def fault(error: Exception, request: WireRequest) -> WireResponse:
    """The SOAP fault of an error; of one that no table has it says nothing but that it is ours."""
    kind = next((each for each in type(error).__mro__ if each in FAULTS), None)
    code, subcode, status, reason = FAULTS[kind] if kind else ("Receiver", "", 500, OURS)
    if isinstance(error, SoapFault):
        code, subcode, status, reason = error.code, error.subcode, error.status, error.reason
    # the prefix has to mean something where it stands
    declared = f' xmlns:wsse="{WSSE}"' if subcode.startswith("wsse:") else ""
    below = f"<s:Subcode><s:Value{declared}>{subcode}</s:Value></s:Subcode>" if subcode else ""
    body = (
        f"<s:Fault><s:Code><s:Value>s:{code}</s:Value>{below}</s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{text(reason)}</s:Text></s:Reason></s:Fault>'
    )
    headers = (("WWW-Authenticate", "Bearer"),) if status == 401 else ()
    return respond(request, FAULT_ACTION, body, status=status, headers=headers)


def told(error: Exception) -> str:
    """What is said of an error, in words alone."""
    if not is_fault(error):
        return error_line(error).told
    if isinstance(error, SoapFault):
        return error.reason
    return next((FAULTS[each][3] for each in type(error).__mro__ if each in FAULTS), OURS)


def error_list(lines: Sequence[ErrorLine]) -> str:
    """A RegistryErrorList; nothing where there are no lines."""
    if not lines:
        return ""
    highest = ERROR if any(line.severity == ERROR for line in lines) else WARNING
    listed = "".join(
        f'<rs:RegistryError errorCode="{text(line.code)}" codeContext="{text(line.told[:LONGEST_CONTEXT])}"'
        f' severity="{line.severity}" location="{text(line.location)}"/>'
        for line in lines
    )
    return f'<rs:RegistryErrorList highestSeverity="{highest}">{listed}</rs:RegistryErrorList>'


def status_of(lines: Sequence[ErrorLine], *, something: bool) -> str:
    """Failure, or success in part where `something` is there all the same; warnings alone fail nothing."""
    if not any(line.severity == ERROR for line in lines):
        return SUCCESS
    return PARTIAL if something else FAILURE


def registry_response(request: WireRequest, lines: Sequence[ErrorLine] = ()) -> WireResponse:
    """rs:RegistryResponse, the answer to what was handed in."""
    body = (
        f'<rs:RegistryResponse status="{status_of(lines, something=False)}">{error_list(lines)}</rs:RegistryResponse>'
    )
    return respond(request, answer_action(request), body)


def registry_error(error: Exception, request: WireRequest) -> WireResponse:
    """The error of a submission."""
    return fault(error, request) if is_fault(error) else registry_response(request, [error_line(error)])


def message_of(request: WireRequest) -> Message | None:
    found: Message | None = request.kept.get("message")
    return found


def answer_action(request: WireRequest) -> str:
    """The action of the answer: that of the question, and Response, but for two that IHE calls otherwise."""
    message = message_of(request)
    if message is None:
        return FAULT_ACTION
    return f"{_ANSWERED_AS.get(message.action, message.action)}Response"


def respond(
    request: WireRequest, action: str, body: Iterator[str] | str, *, status: int = 200, headers: Pairs = ()
) -> WireResponse:
    """A message without documents, packed as the question was."""
    message = message_of(request)
    relates_to = message.message_id if message else ""
    envelope = "".join(write_envelope(action, body, relates_to=relates_to)).encode()
    if message is None or not message.package.is_mtom:
        return _sent(status, f'{SOAP_XML}; charset=UTF-8; action="{action}"', (envelope,), headers)
    writer = Writer(XOP_XML)
    parts = [(root_headers(), (envelope,))]
    return _sent(status, package_type(writer, action), writer.body(parts), headers)


def _sent(status: int, content_type: str, chunks: Iterable[bytes], headers: Pairs) -> WireResponse:
    content = b"".join(chunks)
    told = (("Content-Type", content_type), ("Content-Length", str(len(content))), ("Cache-Control", "no-store"))
    return WireResponse(status, (*told, *headers), content)


def root_headers() -> Pairs:
    kind = f'{XOP_XML}; charset=UTF-8; type="{SOAP_XML}"'
    return (("Content-ID", "<root@hie-node>"), ("Content-Type", kind), ("Content-Transfer-Encoding", "binary"))


def package_type(writer: Writer, action: str) -> str:
    return f'{writer.content_type}; start="<root@hie-node>"; start-info="{SOAP_XML}"; action="{action}"'
