"""What a source hands in: one submission set with its documents, folders and associations, as one `Submission`.

The rules that hold inside one message are kept here; those that need the registry, by the publish flow.

Source: IHE ITI TF-2: 3.41.4.1, 3.42.4.1 (expected actions); IHE ITI TF-3: 4.2.2 (associations), 4.2.1
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from adapters.dicom.manifest import read_manifest
from adapters.ids import ordered_id
from adapters.soap import names
from adapters.soap.ebrim import RimObject, read_objects
from adapters.soap.errors import MetadataFault
from adapters.soap.reading import NOT_KNOWN_HASH, read_document, read_folder, read_submission_set
from adapters.xml_door import XmlElement
from registry.documents import DocumentEntry, Folder, Relation, RelationKind, SubmissionSet
from registry.errors import InvalidValue, PatientMismatch, Unreadable
from registry.identifiers import DICOM_UID, HomeCommunityId, PatientIdentifier, check_uid, repository_of
from registry.manifests import is_manifest
from registry.submissions import Content, PatientMention, Submission, SubmittedDocument

_RELATIONS: Mapping[str, tuple[RelationKind, ...]] = {
    names.RPLC: (RelationKind.REPLACES,),
    names.APND: (RelationKind.APPENDS,),
    names.XFRM: (RelationKind.TRANSFORMS,),
    names.XFRM_RPLC: (RelationKind.TRANSFORMS, RelationKind.REPLACES),
    names.SIGNS: (RelationKind.SIGNS,),
}
LARGEST_MANIFEST = 16 << 20
_NO_MANIFEST = "InvalidDocumentContent"
_TWICE = {True: "XDSRepositoryDuplicateUniqueIdInMessage", False: "XDSRegistryDuplicateUniqueIdInMessage"}


def read_provided(listed: XmlElement | None, contents: Mapping[str, Content], home: HomeCommunityId) -> Submission:
    """ITI-41: every document with its bytes. `contents` by the id of the Document element."""
    return _Reader(listed, home, contents).submission()


def read_registered(listed: XmlElement | None, home: HomeCommunityId) -> Submission:
    """ITI-42: documents whose bytes another repository of this hospital keeps."""
    return _Reader(listed, home, None).submission()


def read_promised(listed: XmlElement | None, home: HomeCommunityId) -> Submission:
    """ITI-61: on-demand entries of another repository of this hospital."""
    return _Reader(listed, home, None, on_demand=True).submission()


@dataclass(slots=True)
class _Links:
    """What the associations of a message say, by the ids of its objects."""

    members: dict[str, list[str]] = field(default_factory=dict)
    referred: list[str] = field(default_factory=list)
    relations: dict[str, list[Relation]] = field(default_factory=dict)
    additions: list[tuple[str, str]] = field(default_factory=list)


class _Reader:
    def __init__(
        self,
        listed: XmlElement | None,
        home: HomeCommunityId,
        contents: Mapping[str, Content] | None,
        *,
        on_demand: bool = False,
    ) -> None:
        objects = read_objects(listed)
        self._home, self._contents, self._on_demand = home, contents, on_demand
        self._documents = [one for one in objects if one.kind == "ExtrinsicObject"]
        packages = [one for one in objects if one.kind == "RegistryPackage"]
        self._sets = [one for one in packages if one.node == names.SUBMISSION_SET_NODE]
        self._folders = [one for one in packages if one.node == names.FOLDER_NODE]
        self._associations = [one for one in objects if one.kind == "Association"]
        self._ids = {one.id: ordered_id() for one in self._documents}

    def submission(self) -> Submission:
        if len(self._sets) != 1:
            raise MetadataFault(f"one submission set is needed, found {len(self._sets)}")
        submission_set = read_submission_set(self._sets[0])
        folders = {one.id: read_folder(one, updated=submission_set.submitted) for one in self._folders}
        self._ids |= {own: folder.id for own, folder in folders.items()}
        links = self._links()
        documents = tuple(self._document(one, tuple(links.relations.get(one.id, ()))) for one in self._documents)
        self._refuse_duplicates(documents, submission_set, list(folders.values()))
        _one_patient(submission_set, documents, list(folders.values()))
        assert submission_set.patient is not None
        return Submission(
            patient=PatientMention(submission_set.patient),
            documents=documents,
            submission_set=self._with_members(submission_set, links),
            folders=tuple(
                replace(folder, members=tuple(links.members.get(own, ()))) for own, folder in folders.items()
            ),
            additions=tuple(links.additions),
            new_folders=True,
        )

    def _document(self, rim: RimObject, relations: tuple[Relation, ...]) -> SubmittedDocument:
        read = read_document(rim, registry_id=self._ids[rim.id], relations=relations, on_demand=self._on_demand)
        entry, own = read.entry, repository_of(self._home)
        if self._contents is not None:
            if read.repository not in (None, own):
                raise MetadataFault(f"{rim.label}: repositoryUniqueId is not that of this repository")
            content = self._content(rim.id)
            if is_manifest(entry):
                entry = _with_its_studies(entry, content, rim)
            return SubmittedDocument(entry, content, read.announced_hash, read.announced_size)
        if self._on_demand and read.repository is None:
            raise MetadataFault(f"{rim.label}: repositoryUniqueId is needed to register it")
        unknown = read.announced_size is None or entry.attachment.hash == NOT_KNOWN_HASH
        if read.repository is None or (unknown and not self._on_demand):
            raise MetadataFault(f"{rim.label}: repositoryUniqueId, size and hash are needed to register it")
        if read.repository == own:
            raise MetadataFault(f"{rim.label}: what this repository keeps is registered by handing it in (ITI-41)")
        return SubmittedDocument(replace(entry, repository=read.repository), None)

    def _content(self, own_id: str) -> Content:
        assert self._contents is not None
        content = self._contents.get(own_id)
        if content is None:
            raise MetadataFault("a document's bytes are not in the message", "XDSMissingDocument")
        return content

    # ---- associations ----

    def _links(self) -> _Links:
        links = _Links()
        for one in self._associations:
            kind = one.attributes.get("associationType", "")
            source, target = one.attributes.get("sourceObject", ""), one.attributes.get("targetObject", "")
            if kind == names.HAS_MEMBER:
                self._member(links, one, source, target)
            elif kind in _RELATIONS:
                self._relation(links, kind, source, target)
            else:
                raise MetadataFault(f"{one.label}: its associationType is none of XDS")
        linked = set(links.members.get(self._sets[0].id, ()))
        for one in (*self._documents, *self._folders):
            if self._ids[one.id] not in linked:
                raise MetadataFault(f"{one.label}: the submission set does not have it as a member")
        return links

    def _member(self, links: _Links, one: RimObject, source: str, target: str) -> None:
        if target in {each.id for each in self._associations}:
            return  # that a set brought an association follows from what it brought
        member = self._ids.get(target) or self._existing(target)
        if source == self._sets[0].id:
            self._of_set(links, one, target, member)
        elif source in self._ids and source not in {each.id for each in self._documents}:
            links.members.setdefault(source, []).append(member)
        elif source.lower().startswith("urn:uuid:") and source not in self._ids:
            links.additions.append((source.lower(), member))
        else:
            raise MetadataFault(f"{one.label}: only a submission set or a folder has members")

    def _of_set(self, links: _Links, one: RimObject, target: str, member: str) -> None:
        status = one.value("SubmissionSetStatus")
        if status not in ("Original", "Reference"):
            raise MetadataFault(f"{one.label}: SubmissionSetStatus is Original or Reference")
        if (status == "Original") != (target in self._ids):
            raise MetadataFault(f"{one.label}: Original is what the message brings, Reference what is here already")
        links.members.setdefault(self._sets[0].id, []).append(member)
        if status == "Reference":
            links.referred.append(member)

    def _relation(self, links: _Links, kind: str, source: str, target: str) -> None:
        if source not in {each.id for each in self._documents}:
            raise MetadataFault("an association starts from a document that is not in the message")
        replaces = RelationKind.REPLACES in _RELATIONS[kind]
        if target in self._ids and (replaces or target == source or target in {each.id for each in self._folders}):
            raise MetadataFault("an association leads to what cannot stand in it")
        found = self._ids.get(target) or self._existing(target)
        links.relations.setdefault(source, []).extend(Relation(each, found) for each in _RELATIONS[kind])

    def _existing(self, target: str) -> str:
        """Something that has to be in the registry: by its entryUUID, since a symbolic id means nothing outside."""
        if not target.lower().startswith("urn:uuid:"):
            raise MetadataFault("an association leads to no object", "UnresolvedReferenceException")
        return target.lower()

    # ---- rules of the whole ----

    def _with_members(self, submission_set: SubmissionSet, links: _Links) -> SubmissionSet:
        members = tuple(dict.fromkeys(links.members.get(self._sets[0].id, ())))
        return replace(submission_set, members=members, referred=tuple(links.referred))

    def _refuse_duplicates(
        self, documents: Sequence[SubmittedDocument], submission_set: SubmissionSet, folders: Sequence[Folder]
    ) -> None:
        used = [d.entry.unique_id for d in documents] + [submission_set.unique_id] + [f.unique_id for f in folders]
        if len(set(used)) != len(used):
            raise MetadataFault("a uniqueId stands twice in the message", _TWICE[self._contents is not None])
        extra = set(self._contents or ()) - {one.id for one in self._documents}
        if extra:
            raise MetadataFault("a document has no metadata in the message", "XDSMissingDocumentMetadata")


def _with_its_studies(entry: DocumentEntry, content: Content, rim: RimObject) -> DocumentEntry:
    """A manifest refers to the studies that it lists, whatever its metadata say (IHE RAD TF-2: 4.68.4.1.2)."""
    read, size = bytearray(), 0
    for chunk in content.chunks():
        size += len(chunk)
        if size > LARGEST_MANIFEST:
            raise MetadataFault(f"{rim.label}: a manifest has at most {LARGEST_MANIFEST} bytes", _NO_MANIFEST)
        read += chunk
    try:
        manifest = read_manifest(bytes(read))
    except Unreadable as error:
        raise MetadataFault(f"{rim.label}: {error.reason}", _NO_MANIFEST) from error
    if entry.unique_id != f"urn:oid:{manifest.sop_instance_uid}":
        raise MetadataFault(f"{rim.label}: uniqueId is that of the manifest, its SOP Instance UID", _NO_MANIFEST)
    try:
        listed = [PatientIdentifier(DICOM_UID, f"urn:oid:{check_uid(uid, 'study')}") for uid in manifest.studies]
    except InvalidValue as error:
        raise MetadataFault(f"{rim.label}: a study without a usable UID", _NO_MANIFEST) from error
    return replace(entry, references=tuple(dict.fromkeys((*entry.references, *listed))))


def _one_patient(
    submission_set: SubmissionSet, documents: Sequence[SubmittedDocument], folders: Sequence[Folder]
) -> None:
    expected = submission_set.patient
    others: list[PatientIdentifier] = [d.entry.patient for d in documents] + [f.patient for f in folders]
    for other in others:
        if other != expected:
            raise PatientMismatch("patientId", expected=str(expected), found=str(other))
