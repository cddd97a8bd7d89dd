"""What a patient allows or forbids, as a value.

Source: IHE PCF 1.1 (Basic, Intermediate, Advanced), FHIR R4 Consent. The root provision binds the whole consent;
nested provisions are exceptions to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from consent.errors import EvidenceMissing, InvalidConsent
from consent.requesters import PurposeOfUse
from registry.coded import CodedValue
from registry.identifiers import HomeCommunityId, PatientIdentifier

PCF = "https://profiles.ihe.net/ITI/PCF/"
BASIC_NORMAL = PCF + "Policy-basic-normal"
ALL_NORMAL = PCF + "Policy-all-normal"
BREAK_GLASS_ONLY = PCF + "Policy-break-glass-only"
DENY = PCF + "Policy-deny"
POLICIES = frozenset({BASIC_NORMAL, ALL_NORMAL, BREAK_GLASS_ONLY, DENY})

FACILITY_SYSTEM = "urn:hie-node:facility"
"""Before a bar and a facility code: an author of whom the directory has not said yet which community it is."""

ProvisionType = Literal["permit", "deny"]
STATUSES = frozenset({"draft", "proposed", "active", "rejected", "inactive", "entered-in-error"})


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` until before `end`, both aware; an open side is None."""

    start: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        if self.start and self.end and self.end < self.start:
            raise InvalidConsent("period", "an end after its start")

    def holds(self, moment: datetime) -> bool:
        return (self.start is None or self.start <= moment) and (self.end is None or moment < self.end)


ALWAYS = Period()


@dataclass(frozen=True, slots=True)
class Actor:
    """Whom a provision is about: a hospital, or one person or role of it. Nothing given: anybody.

    facility  the hospital as the message named it, by facility code or by its id in the directory; until the directory
              has said which community that is, `home` is None and this actor is nobody, not anybody
    """

    home: HomeCommunityId | None = None
    subject: str | None = None
    role: str | None = None
    facility: str | None = None

    @property
    def is_unresolved(self) -> bool:
        return self.facility is not None and self.home is None

    def is_named(self, name: str) -> bool:
        """Whether a search for this name means this actor: community, the end of its OID, facility or person."""
        homes = {str(self.home), str(self.home).rpartition(".")[2]} if self.home else set()
        return name in homes or name in (self.facility, self.subject)


@dataclass(frozen=True, slots=True)
class Provision:
    """One rule. An empty condition holds for everything; all conditions must hold.

    data_period   when the data were made
    instances     registry ids or unique ids of single documents and studies
    authors       who made the data: a community (`urn:oid:…`), a facility still to be resolved, or a person's number
    encounters    the stays or consultations that the data came of, as `SYSTEM|VALUE`
    labels        confidentiality and sensitivity that it speaks of
    """

    type: ProvisionType
    id: str = ""
    period: Period = ALWAYS
    actors: tuple[Actor, ...] = ()
    purposes: frozenset[PurposeOfUse] = frozenset()
    data_period: Period = ALWAYS
    instances: frozenset[str] = frozenset()
    authors: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    encounters: frozenset[str] = frozenset()
    provisions: tuple[Provision, ...] = ()

    @property
    def looks_at_items(self) -> bool:
        """Whether the answer can differ between two items of the same sensitivity."""
        own = self.data_period != ALWAYS or bool(self.instances or self.authors or self.encounters)
        return own or any(nested.looks_at_items for nested in self.provisions)

    @property
    def says_all(self) -> bool:
        """No condition of its own on what is wanted: it speaks of every item."""
        return self.data_period == ALWAYS and not (self.instances or self.authors or self.encounters or self.labels)

    @property
    def is_unresolved(self) -> bool:
        """An actor or author here, exceptions aside, is a facility of which nobody has said which community it is."""
        authors = (author.startswith(f"{FACILITY_SYSTEM}|") for author in self.authors)
        return any(authors) or any(actor.is_unresolved for actor in self.actors)

    @property
    def everywhere(self) -> tuple[Provision, ...]:
        """This provision and its exceptions."""
        return (self, *self.provisions)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The written request behind a permission.

    kind        `paper` (signed and scanned), `electronic`, or `witnessed` for someone who cannot write
    reference   where it lies: a document of this hospital, an attachment, a receipt
    hash        SHA-256 of the signed document, hex; SHA-1 where only that was told of a document that lies elsewhere
    """

    kind: str
    reference: str
    hash: str = ""
    explained_by: str = ""
    language: str = ""
    represented_by: str = ""


@dataclass(frozen=True, slots=True)
class Consent:
    """What one patient allows or forbids, from one moment on.

    id         the id of this consent, also the FHIR logical id
    record_id  the source record of the patient at this hospital
    given      when the patient agreed (dateTime), at the earliest
    given_by   when at the latest, where the message says only the day: a refusal of that day stands against a
               permission of the same day
    custodian  whose data it speaks of; None: those of every hospital that gets it
    custodian_facility  the custodian as the message named it, as in Actor
    deleted    taken back as a whole: inactive, kept as history, and gone for whoever asks for it as it is now
    receipt    id of the receipt that brought it here, if another hospital recorded it
    """

    id: str
    patient: PatientIdentifier
    record_id: str
    status: str
    given: datetime
    policy: str
    provision: Provision
    custodian: HomeCommunityId | None = None
    custodian_facility: str | None = None
    evidence: Evidence | None = None
    receipt: str | None = None
    version: int = 1
    updated: datetime | None = None
    recorded_by: str = ""
    given_by: datetime | None = None
    deleted: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise InvalidConsent("Consent.status", "one of " + ", ".join(sorted(STATUSES)))
        if self.policy not in POLICIES:
            raise InvalidConsent("Consent.policy.uri", "one of the four policies of PCF")
        if any(nested.provisions for nested in self.provision.provisions):
            raise InvalidConsent("Consent.provision.provision.provision", "no third level")
        if self.permits_something and self.evidence is None and self.receipt is None:
            raise EvidenceMissing

    @property
    def root(self) -> Provision:
        """The rule that binds all of it; a policy that denies makes it a denial, whatever its type says."""
        return replace(self.provision, type="deny") if self.policy == DENY else self.provision

    @property
    def permits_something(self) -> bool:
        return (
            self.status == "active"
            and self.policy != DENY
            and any(provision.type == "permit" for provision in self.provision.everywhere)
        )

    @property
    def is_unresolved(self) -> bool:
        """It names a hospital of which nobody has said yet which community it is."""
        return self._custodian_unresolved or any(each.is_unresolved for each in self.provision.everywhere)

    @property
    def _custodian_unresolved(self) -> bool:
        return self.custodian_facility is not None and self.custodian is None

    def resolved(self, home_of: Callable[[str], HomeCommunityId | None]) -> Consent:
        """The same consent with every hospital named by its community; InvalidConsent where the directory has none."""
        if not self.is_unresolved:
            return self
        custodian = self.custodian
        if self.custodian_facility is not None and custodian is None:
            custodian = _known("Consent.organization", home_of(self.custodian_facility))
        return replace(self, custodian=custodian, provision=_resolved(self.provision, home_of))

    def in_force(self, now: datetime) -> bool:
        """Active, given already, and within its period; an expired permit is silence, not refusal."""
        return self.status == "active" and self.given <= now and self.provision.period.holds(now)


def _resolved(provision: Provision, home_of: Callable[[str], HomeCommunityId | None]) -> Provision:
    actors = tuple(
        replace(actor, home=_known("Consent.provision.actor.reference", home_of(actor.facility)))
        if actor.facility is not None and actor.home is None
        else actor
        for actor in provision.actors
    )
    authors = frozenset(
        str(_known("Consent.provision.data.reference", home_of(author.partition("|")[2])))
        if author.startswith(f"{FACILITY_SYSTEM}|")
        else author
        for author in provision.authors
    )
    return replace(
        provision,
        actors=actors,
        authors=authors,
        provisions=tuple(_resolved(nested, home_of) for nested in provision.provisions),
    )


def _known(element: str, home: HomeCommunityId | None) -> HomeCommunityId:
    if home is None:
        raise InvalidConsent(element, "a hospital of the network, by homeCommunityId or facility code")
    return home


def look_at_items(consents: Iterable[Consent]) -> bool:
    """Whether any of these consents tells two items of the same sensitivity apart."""
    return any(consent.provision.looks_at_items for consent in consents)


def labels_of(values: Iterable[CodedValue]) -> frozenset[str]:
    """The codes of security labels, as provisions name them."""
    return frozenset(value.code for value in values)
