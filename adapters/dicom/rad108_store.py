"""RAD-108, STOW-RS: a modality, a gateway or another archive hands in images.

The body is written to a temporary file without a name while it arrives; each part is judged by itself, so that one
broken slice does not cost the other three hundred. What could not be read is in the answer, part by part.

Source: IHE RAD TF-2: 4.108; DICOM PS3.18: 10.5 (store), Table 10.5.3-1 (status), I.2 (response).
"""

from __future__ import annotations

from collections.abc import Iterator

from adapters.dicom import dicom_json
from adapters.dicom.dicom_json import Json, attributes
from adapters.dicom.errors import UnsupportedMedia, problem
from adapters.dicom.multipart import DICOM, SpooledPart, boundary_of, read_parts, spooled
from adapters.dicom.part10 import read_instance
from adapters.transactions import HOUSE, Transaction
from adapters.wire import Pairs, WireRequest, WireResponse
from registry.commands import InstanceFailure, Stored, StoreInstances
from registry.errors import Unreadable
from registry.identifiers import check_uid
from registry.studies import Instance, ReadInstance
from registry.submissions import StudySubmission

CANNOT_UNDERSTAND = 0xC000
WRONG_STUDY = 0xA900
_PIECE = 1 << 20


def decode(request: WireRequest) -> StoreInstances:
    """Raises UnsupportedMedia, BrokenMultipart or TooLarge for the body; a part that is unreadable is only itself."""
    study = request.params.get("study")
    announced = check_uid(study, "Study Instance UID") if study else None
    boundary = boundary_of(request.header("content-type"))
    instances: list[tuple[ReadInstance, SpooledPart]] = []
    refused: list[InstanceFailure] = []
    for part, content in spooled(read_parts(_pieces(request), boundary), request.spool):
        if part.media_type.value not in (DICOM, ""):
            raise UnsupportedMedia(f"parts of type {DICOM}")
        try:
            instance = read_instance(
                content.path, size=content.length, offset=content.offset, own_issuer=request.patient_id_system
            )
        except Unreadable as error:
            refused.append(InstanceFailure("", "", CANNOT_UNDERSTAND, error.reason))
            continue
        if announced not in (None, instance.study.study_instance_uid):
            refused.append(_refusal(instance.instance, WRONG_STUDY, "belongs to another study than the one addressed"))
        else:
            instances.append((instance, content))
    return StoreInstances(StudySubmission(tuple(instances)), announced, tuple(refused))


def _pieces(request: WireRequest) -> Iterator[bytes]:
    while request.body is not None and (piece := request.body.read(_PIECE)):
        yield piece


def _refusal(instance: Instance, failure: int, text: str) -> InstanceFailure:
    return InstanceFailure(instance.sop_class_uid, instance.sop_instance_uid, failure, text)


def encode(result: Stored, request: WireRequest) -> WireResponse:
    """200 all stored, 202 some of it or with a warning, 409 nothing."""
    status = 200
    if result.failed or result.warnings or result.aside:
        status = 202 if result.stored or result.aside else 409
    headers: Pairs = (("Content-Type", dicom_json.MEDIA_TYPE), ("Cache-Control", "no-store"))
    warnings = tuple(("Warning", f'299 {request.base} "{_header_text(text)}"') for text in result.warnings)
    return WireResponse(status, headers + warnings, dicom_json.dumped(_response(result, request)))


def _response(result: Stored, request: WireRequest) -> Json:
    series_of = {
        instance.sop_instance_uid: series.series_instance_uid
        for study in result.studies
        for series in study.series
        for instance in series.instances
    }
    studies = sorted({uid for uid, _ in result.stored})
    # with several studies there is no one URL of all; each instance has its own
    response = attributes(RetrieveURL=f"{request.base}/studies/{studies[0]}") if len(studies) == 1 else {}
    stored = [_stored(uid, instance, series_of, request.base) for uid, instance in result.stored]
    stored += [_kept_aside(one) for one in result.aside]
    if stored:
        response["00081199"] = {"vr": "SQ", "Value": stored}
    if result.failed:
        response["00081198"] = {"vr": "SQ", "Value": [_failed(failure) for failure in result.failed]}
    return response


def _stored(study_uid: str, instance: Instance, series_of: dict[str, str], base: str) -> Json:
    series = series_of.get(instance.sop_instance_uid)
    below = f"/series/{series}/instances/{instance.sop_instance_uid}" if series else ""
    return attributes(
        ReferencedSOPClassUID=instance.sop_class_uid,
        ReferencedSOPInstanceUID=instance.sop_instance_uid,
        RetrieveURL=f"{base}/studies/{study_uid}{below}",
    )


def _kept_aside(one: InstanceFailure) -> Json:
    """Safe here and not to be seen yet, so it has no URL."""
    return attributes(
        ReferencedSOPClassUID=one.sop_class_uid,
        ReferencedSOPInstanceUID=one.sop_instance_uid,
        WarningReason=one.failure,
    )


def _failed(failure: InstanceFailure) -> Json:
    return attributes(
        ReferencedSOPClassUID=failure.sop_class_uid,
        ReferencedSOPInstanceUID=failure.sop_instance_uid,
        FailureReason=failure.failure,
    )


def _header_text(text: str) -> str:
    """Header values are ASCII without quotes."""
    return "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "?" for c in text)


def _transaction(path: str, title: str) -> Transaction:
    return Transaction(
        name="RAD-108",
        title=title,
        source="IHE RAD TF-2: 4.108, DICOM PS3.18: 10.5",
        route=("POST", path),
        command=StoreInstances,
        decode=decode,
        encode=encode,
        error=problem,
        scope=("ImagingStudy", "c"),
        doors=HOUSE,
        discloses=False,
        family="dicomweb",
    )


TRANSACTION = _transaction("/studies", "Store instances")
TRANSACTIONS = (TRANSACTION, _transaction("/studies/<study>", "Store instances of one study"))
