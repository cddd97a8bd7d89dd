"""What the registry refuses, as nouns.

RegistryError
├── InvalidValue              a value that its standard does not allow
│   ├── InvalidIdentifier
│   └── WrongId               the message gives itself the id of another record
├── Unreadable                bytes that are not what they say they are
│   ├── TooLarge              more than the limit for this kind of input
│   └── NotDrawable           an object without a picture, or with one that no decoder here knows
├── SubmissionRejected        nothing of the submission was stored
│   ├── UnknownPatient        the patient is not known here and the message does not say who it is
│   ├── PatientMismatch       two parts of the submission, or the index, name different patients
│   ├── NonIdenticalContent   this unique id is already registered with other bytes
│   │   ├── NonIdenticalHash
│   │   └── NonIdenticalSize
│   ├── DuplicateUniqueId
│   ├── MissingContent        metadata without its document
│   ├── UnresolvedReference   points to something that is not here
│   ├── DeprecatedTarget      replaces or appends to what is no longer current
│   └── ForeignDomain         a feed may speak only for its own assigning authority
├── ChangeRejected            metadata that cannot be changed so; everything stays as it was
│   ├── OtherPatient          a new version of the metadata names another patient
│   ├── StillReferenced       something that stays would point to what is to go
│   ├── LeftAlone             something would stay that no submission set has any more
│   └── StillRegistered       bytes whose metadata are here cannot go alone
├── UnknownAuthority          nobody here knows identifiers of this assigning authority
├── UnknownTargetSystem       identifiers of this authority are asked for, and it is not known here
├── NotFound                  no such thing here, or none that may be seen
│   ├── NoSuchRepository      no repository of this id answers here
│   └── NoSuchCommunity       no hospital of this id is in the network
├── OtherForm                 it is here, in another form than is accepted
├── Gone                      it was here and is deleted
├── NotUnique                 several match where one is needed
├── VersionConflict           somebody else changed it first
├── ArchiveUnavailable        the hospital's own PACS does not answer, or not usably
└── StorageUnavailable        the database or the store cannot take it now; nothing was acknowledged

Texts say what, expected, found, and what happened to the data; never a name or a full identifier.
"""

from __future__ import annotations

NOTHING_STORED = "nothing was stored"


class RegistryError(Exception):
    """Base of everything that the registry refuses."""


class InvalidValue(RegistryError):
    """A value that its standard does not allow."""

    def __init__(self, element: str, *, expected: str, found: str = "") -> None:
        self.element, self.expected, self.found = element, expected, found
        super().__init__(f"{element}: expected {expected}" + (f", found {found}" if found else ""))


class InvalidIdentifier(InvalidValue):
    """An identifier without the form that its system prescribes."""


class WrongId(InvalidValue):
    """The message gives itself an id that is not that of the record it is about."""


class Unreadable(RegistryError):
    """Bytes that are not what they say they are."""

    def __init__(self, what: str, reason: str) -> None:
        self.what, self.reason = what, reason
        super().__init__(f"{what}: {reason}; {NOTHING_STORED}")


class TooLarge(Unreadable):
    """More than the limit for this kind of input, in bytes unless another unit is said."""

    def __init__(self, what: str, *, limit: int, unit: str = "bytes") -> None:
        self.limit = limit
        super().__init__(what, f"larger than {limit} {unit}")


class NotDrawable(Unreadable):
    """An object without a picture, or with one that no decoder here knows; its stored bytes can still be had.

    is_empty  it is no image at all: a report, a list of key objects
    """

    def __init__(self, reason: str, *, is_empty: bool = False) -> None:
        self.is_empty = is_empty
        super().__init__("image", reason)


class SubmissionRejected(RegistryError):
    """The submission as a whole is refused and nothing of it is stored."""


class UnknownPatient(SubmissionRejected):
    """The patient is not known here and the message does not say enough to register them."""

    def __init__(self, masked: str) -> None:
        self.masked = masked
        super().__init__(f"patient {masked} is not known here and the message holds no demographics; {NOTHING_STORED}")


class PatientMismatch(SubmissionRejected):
    """Two parts of the submission, or the submission and the index, name different patients."""

    def __init__(self, what: str, *, expected: str, found: str) -> None:
        self.what, self.expected, self.found = what, expected, found
        super().__init__(f"{what}: belongs to {expected}, found {found}; {NOTHING_STORED}")


class NonIdenticalContent(SubmissionRejected):
    """This unique id is already registered with other bytes."""

    measure = "content"

    def __init__(self, unique_id: str, *, registered: str, received: str) -> None:
        self.unique_id, self.registered, self.received = unique_id, registered, received
        super().__init__(
            f"{unique_id}: registered with {self.measure} {registered}, received {received}; {NOTHING_STORED}"
        )


class NonIdenticalHash(NonIdenticalContent):
    """Announced or registered with another hash than the bytes have."""

    measure = "hash"


class NonIdenticalSize(NonIdenticalContent):
    """Announced or registered with another length than the bytes have."""

    measure = "size"


class DuplicateUniqueId(SubmissionRejected):
    """The unique id stands twice, in the message or in the registry, for different things."""

    def __init__(self, unique_id: str) -> None:
        self.unique_id = unique_id
        super().__init__(f"unique id {unique_id} is already used; {NOTHING_STORED}")


class MissingContent(SubmissionRejected):
    """Metadata that announces a document which the submission does not carry."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what}: the submission does not carry its content; {NOTHING_STORED}")


class UnresolvedReference(SubmissionRejected):
    """The submission points to something that is neither in it nor here."""

    def __init__(self, element: str, reference: str) -> None:
        self.element, self.reference = element, reference
        super().__init__(f"{element}: {reference} is neither in the submission nor here; {NOTHING_STORED}")


class DeprecatedTarget(SubmissionRejected):
    """Only what is current can be replaced, appended to or transformed."""

    def __init__(self, reference: str) -> None:
        self.reference = reference
        super().__init__(f"{reference} is superseded already; {NOTHING_STORED}")


class ConditionFitsSeveral(SubmissionRejected):
    """What is to be made only if it is not here fits several that are."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"several of {what} fit the condition; {NOTHING_STORED}")


class ForeignDomain(SubmissionRejected):
    """A feed may speak only for its own assigning authority."""

    def __init__(self, system: str) -> None:
        self.system = system
        super().__init__(f"identifiers of {system} are assigned elsewhere; {NOTHING_STORED}")


class ChangeRejected(RegistryError):
    """Metadata that cannot be changed so; everything stays as it was. `object_id` is the object that it concerns."""

    def __init__(self, object_id: str, told: str) -> None:
        self.object_id, self.told = object_id, told
        super().__init__(f"{object_id}: {told}; nothing was changed")


class OtherPatient(ChangeRejected):
    """A new version of the metadata names another patient."""

    def __init__(self, object_id: str) -> None:
        super().__init__(object_id, "a new version is of the same patient as the one before")


class StillReferenced(ChangeRejected):
    """Something that stays would point to what is to go."""

    def __init__(self, object_id: str, association: str) -> None:
        self.association = association
        super().__init__(object_id, f"the association {association} leads to it and would stay")


class LeftAlone(ChangeRejected):
    """Something would stay that no submission set has any more, or a submission set without anything in it."""

    def __init__(self, object_id: str) -> None:
        super().__init__(object_id, "it would be left without a submission set, or as one without members")


class StillRegistered(ChangeRejected):
    """Bytes whose metadata are here cannot go alone: the index would promise what nobody can open."""

    def __init__(self, object_id: str) -> None:
        super().__init__(object_id, "its metadata are registered; they are removed first")


class UnknownAuthority(RegistryError):
    """Nobody here knows identifiers of this assigning authority."""

    def __init__(self, system: str) -> None:
        self.system = system
        super().__init__("this assigning authority is not known here")


class UnknownTargetSystem(RegistryError):
    """Identifiers of this assigning authority are asked for, and it is not known here."""

    def __init__(self, system: str) -> None:
        self.system = system
        super().__init__("the assigning authority whose identifiers are asked for is not known here")


class NotFound(RegistryError):
    """No such thing here, or none that may be seen; the two are not told apart."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} is not known here")


class NoSuchRepository(NotFound):
    """No repository of this id answers here."""

    def __init__(self, repository: str) -> None:
        self.repository = repository
        super().__init__("this repository")


class NoSuchCommunity(NotFound):
    """No hospital of this id is in the network."""

    def __init__(self, home: str) -> None:
        self.home = home
        super().__init__("this community")


class OtherForm(RegistryError):
    """It is here, in another form than is accepted; stored bytes are never made into another form unseen."""

    def __init__(self, form: str) -> None:
        self.form = form
        super().__init__(f"it is stored in another form than is accepted: {form}")


class Gone(RegistryError):
    """It was here and is deleted."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} was deleted")


class NotUnique(RegistryError):
    """Several match where exactly one is needed; none is shown."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what}: more than one matches; ask for one more detail")


class VersionConflict(RegistryError):
    """Somebody else changed it first."""

    def __init__(self, what: str, *, expected: str, found: str) -> None:
        self.what, self.expected, self.found = what, expected, found
        super().__init__(f"{what}: version {expected} was expected, the current one is {found}; nothing was changed")


class StorageUnavailable(RegistryError):
    """The database or the content store cannot take it now; nothing was acknowledged.

    overtaken  only somebody else's work of the same moment stood in the way: the same once more is likely to succeed
    """

    def __init__(self, what: str, reason: str, *, overtaken: bool = False) -> None:
        self.what, self.reason, self.overtaken = what, reason, overtaken
        super().__init__(f"{what} is unavailable: {reason}; nothing was acknowledged, try again")


class ArchiveUnavailable(RegistryError):
    """The hospital's own PACS does not answer, or not usably; `reason` is a code."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("the archive that holds these images does not answer; try again later")
