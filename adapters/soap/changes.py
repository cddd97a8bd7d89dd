"""What changes: one submission set whose associations say which metadata it revises, which status, which links.

Source: IHE ITI XDS Metadata Update: 3.57.4.1.3 (operations), Table 4.2.4.1-2 (error codes)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from adapters.soap import names
from adapters.soap.datatypes import is_full_uuid
from adapters.soap.ebrim import RimObject, read_objects
from adapters.soap.errors import MetadataFault
from adapters.soap.reading import read_document, read_folder, read_submission_set
from adapters.xml_door import XmlElement
from registry.changes import ChangeMetadata, NewFolder, NewLink, NewStatus, NewVersion
from registry.documents import DocumentStatus
from registry.errors import PatientMismatch
from registry.holdings import AssociationKind

UNDECODABLE = "XDSMetadataUpdateOperationError"
_STATUSES = {names.APPROVED: DocumentStatus.CURRENT, names.DEPRECATED: DocumentStatus.SUPERSEDED}
_LINKS: Mapping[str, AssociationKind] = {
    names.HAS_MEMBER: AssociationKind.HAS_MEMBER,
    names.APND: AssociationKind.APPENDS,
    names.XFRM: AssociationKind.TRANSFORMS,
    names.RPLC: AssociationKind.REPLACES,
    names.XFRM_RPLC: AssociationKind.TRANSFORMS_AND_REPLACES,
    names.SIGNS: AssociationKind.SIGNS,
}
_VERSION = re.compile(r"\d{1,9}", re.ASCII)


def read_changes(listed: XmlElement | None) -> ChangeMetadata:
    """ITI-57. Raises MetadataFault for what is no change, or one that this registry does not make."""
    return _Reader(read_objects(listed)).changes()


def refuse(one: RimObject, told: str) -> MetadataFault:
    return MetadataFault(f"{one.label}: {told}", UNDECODABLE)


class _Reader:
    def __init__(self, objects: list[RimObject]) -> None:
        self._objects = {one.id: one for one in objects}
        sets = [one for one in objects if one.node == names.SUBMISSION_SET_NODE]
        if len(sets) != 1:
            raise MetadataFault(f"one submission set is needed, found {len(sets)}")
        self._set = sets[0]
        self._versions: list[NewVersion] = []
        self._folders: list[NewFolder] = []
        self._statuses: list[NewStatus] = []
        self._links: list[NewLink] = []
        self._used: set[str] = {self._set.id}

    def changes(self) -> ChangeMetadata:
        submission_set = read_submission_set(self._set)
        self._submitted = submission_set.submitted
        operations: Mapping[str, Callable[[RimObject], None]] = {
            names.HAS_MEMBER: self._version,
            names.UPDATE_STATUS: self._status,
            names.SUBMIT_ASSOCIATION: self._link,
        }
        for one in self._objects.values():
            if one.kind != "Association" or one.attributes.get("sourceObject") != self._set.id:
                continue
            operation = operations.get(one.attributes.get("associationType", ""))
            if operation is None:
                raise refuse(one, "its associationType is no change of metadata")
            self._used.add(one.id)
            operation(one)
        idle = next((one for one in self._objects.values() if one.id not in self._used), None)
        if idle is not None:
            raise refuse(idle, "no operation of the submission set is about it")
        patients = [one.entry.patient for one in self._versions] + [one.folder.patient for one in self._folders]
        for patient in patients:
            if patient != submission_set.patient:
                raise PatientMismatch("patientId", expected="that of the submission set", found="another one")
        self._refuse_twice()
        return ChangeMetadata(
            submission_set,
            tuple(self._versions),
            tuple(self._folders),
            tuple(self._statuses),
            tuple(self._links),
        )

    def _target(self, one: RimObject) -> RimObject | None:
        return self._objects.get(one.attributes.get("targetObject", ""))

    def _version(self, one: RimObject) -> None:
        """HasMember with PreviousVersion: the metadata of a document or folder, anew."""
        new, previous = self._target(one), one.value("PreviousVersion")
        if new is None or new.kind == "Association" or new is self._set or previous is None:
            raise refuse(one, "a revised document or folder of the message and its PreviousVersion are needed")
        if one.value("SubmissionSetStatus") not in (None, "Original"):
            raise refuse(one, "SubmissionSetStatus of what is revised is Original")
        if one.value("AssociationPropagation") not in (None, "yes", "no"):
            raise refuse(one, "AssociationPropagation is yes or no")
        stays = one.value("AssociationPropagation") != "no"
        lid = new.attributes.get("lid", "").lower()
        if not is_full_uuid(lid):
            raise MetadataFault(f"{new.label}: lid has to be a logicalID", "XDSMetadataUpdateError")
        if new.attributes.get("status", names.APPROVED) != names.APPROVED:
            raise MetadataFault(f"{new.label}: a new version is Approved", "XDSMetadataUpdateError")
        self._used.add(new.id)
        number = _number(previous)
        if new.kind == "RegistryPackage":
            self._folders.append(NewFolder(lid, number, read_folder(new, updated=self._submitted), stays))
            return
        read = read_document(new, registry_id="")
        self._versions.append(
            NewVersion(lid, number, read.entry, read.announced_hash, read.announced_size, read.repository, stays)
        )

    def _status(self, one: RimObject) -> None:
        before, after = (_STATUSES.get(one.value(name) or "") for name in ("OriginalStatus", "NewStatus"))
        target = one.attributes.get("targetObject", "").lower()
        if before is None or after is None or before is after or not is_full_uuid(target):
            raise refuse(one, "an entryUUID, OriginalStatus and another NewStatus, Approved or Deprecated, are needed")
        self._statuses.append(NewStatus(target, before, after))

    def _link(self, one: RimObject) -> None:
        link = self._target(one)
        if link is None or link.kind != "Association" or link.id in self._used:
            raise refuse(one, "an association of the message is needed, each once")
        self._used.add(link.id)
        kind = _LINKS.get(link.attributes.get("associationType", ""))
        ends = [link.attributes.get(name, "").lower() for name in ("sourceObject", "targetObject")]
        if kind is None or not all(map(is_full_uuid, ends)) or ends[0] == ends[1]:
            raise refuse(link, "a HasMember or a relation between two objects that are here can be submitted")
        self._links.append(NewLink(kind, *ends))

    def _refuse_twice(self) -> None:
        """Two operations on one object: which comes first cannot be told."""
        touched = [one.logical_id for one in self._versions] + [one.logical_id for one in self._folders]
        touched += [one.target for one in self._statuses]
        if len(set(touched)) != len(touched):
            raise refuse(self._set, "two operations of the message are about the same object")
        if not touched and not self._links:
            raise refuse(self._set, "it changes nothing")


def _number(previous: str) -> int:
    """A version as this registry names it: 1.1 (or 1), 2, 3."""
    text = "1" if previous == "1.1" else previous
    if not _VERSION.fullmatch(text):
        raise MetadataFault("PreviousVersion is not that of any version here", "XDSMetadataVersionError")
    return int(text)
