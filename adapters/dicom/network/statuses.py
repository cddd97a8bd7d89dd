"""Every error of the rooms as a status of DIMSE. Texts are the rooms' own: they name rules, never a value.

Sources: DICOM PS3.4: B.2.3 (C-STORE), C.4.1.1.4 (C-FIND), C.4.2.1.5 (C-MOVE); PS3.7 Annex C.
"""

from __future__ import annotations

from adapters.dicom import errors as dicomweb
from adapters.dicom.network.commands import Status
from adapters.dicom.network.errors import Refused
from consent import errors as consent
from registry import errors as registry

STATUSES: dict[type[Exception], Status] = {
    registry.RegistryError: Status.PROCESSING_FAILURE,
    registry.InvalidValue: Status.CANNOT_UNDERSTAND,
    registry.Unreadable: Status.CANNOT_UNDERSTAND,
    registry.TooLarge: Status.OUT_OF_RESOURCES,
    registry.SubmissionRejected: Status.DOES_NOT_MATCH,
    registry.NotFound: Status.NO_SUCH_INSTANCE,
    registry.Gone: Status.NO_SUCH_INSTANCE,
    registry.NotUnique: Status.DOES_NOT_MATCH,
    registry.VersionConflict: Status.PROCESSING_FAILURE,
    registry.StorageUnavailable: Status.OUT_OF_RESOURCES,
    registry.ArchiveUnavailable: Status.OUT_OF_RESOURCES,
    consent.ConsentError: Status.NOT_AUTHORIZED,
    dicomweb.OtherInstance: Status.DOES_NOT_MATCH,
    dicomweb.DicomwebError: Status.CANNOT_UNDERSTAND,
}


def status_of(error: Exception) -> int:
    """An error of no room is a fault of ours: a processing failure, and not a word about it."""
    if isinstance(error, Refused):
        return error.status
    known = next((kind for kind in type(error).__mro__ if kind in STATUSES), None)
    return STATUSES[known] if known is not None else Status.PROCESSING_FAILURE


def is_known(error: Exception) -> bool:
    return isinstance(error, (Refused, *STATUSES))
