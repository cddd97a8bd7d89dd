"""Storage commitment: a modality asks whether its objects are kept for good, before it deletes its own.

Source: DICOM PS3.4 Annex J (Storage Commitment Push Model), Tables J.3-1 and J.3-2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from adapters.dicom.data_sets import read_data_set, write_data_set
from adapters.dicom.dicom_json import Json, attributes
from adapters.dicom.dictionary import IMPLICIT_LITTLE
from adapters.dicom.header_values import uid
from adapters.dicom.network.commands import Status
from adapters.dicom.network.errors import Refused
from registry.errors import InvalidValue, Unreadable
from registry.identifiers import check_uid

REQUESTED = 1
ALL_KEPT, SOME_MISSING = 1, 2
OBJECTS_LIMIT = 10_000
_TRANSACTION, _OBJECTS, _CLASS, _INSTANCE = 0x00081195, 0x00081199, 0x00081150, 0x00081155

Reference = tuple[str, str]
"""SOP class and SOP instance UID."""


@dataclass(frozen=True, slots=True)
class Commitment:
    """What is to be kept; `transaction` is the modality's own name for this request."""

    transaction: str
    objects: tuple[Reference, ...]


def read_commitment(content: bytes, *, transfer_syntax: str) -> Commitment:
    """Raises Refused for what cannot be read or names nothing."""
    try:
        found, _ = read_data_set(content, transfer_syntax)
        transaction = check_uid(uid(found.bytes(_TRANSACTION)), "Transaction UID")
        objects = tuple((uid(each.bytes(_CLASS)), uid(each.bytes(_INSTANCE))) for each in found.items(_OBJECTS))
    except (Unreadable, InvalidValue) as error:
        raise Refused(Status.PROCESSING_FAILURE, "the request cannot be read") from error
    if not 0 < len(objects) <= OBJECTS_LIMIT:
        raise Refused(Status.PROCESSING_FAILURE, f"from one to {OBJECTS_LIMIT} objects are expected")
    return Commitment(transaction, objects)


def write_report(
    asked: Commitment, kept: Iterable[Reference], failed: Iterable[tuple[Reference, int]], *, transfer_syntax: str
) -> bytes:
    """What is kept, and what is not with its reason."""
    said = attributes(TransactionUID=asked.transaction)
    if here := [_reference(each) for each in kept]:
        said[f"{_OBJECTS:08X}"] = {"vr": "SQ", "Value": here}
    if missing := [{**_reference(each), **attributes(FailureReason=reason)} for each, reason in failed]:
        said["00081198"] = {"vr": "SQ", "Value": missing}
    return write_data_set(said, implicit=transfer_syntax == IMPLICIT_LITTLE)


def _reference(named: Reference) -> Json:
    return attributes(ReferencedSOPClassUID=named[0], ReferencedSOPInstanceUID=named[1])
