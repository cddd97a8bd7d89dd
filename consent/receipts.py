"""The patient's written request, recorded at the hospital that asks and carried by its questions.

The asking hospital signs it (JWS); the holder verifies signature and parties, keeps it, and decides with it as with
any consent of its own. A withdrawal travels to every holder that keeps it.
Source: Law 91/2025/QH15 Art. 26 k2 (request in writing), Law 20/2023/QH15 Art. 9 (electronic writing).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from consent.consents import ALWAYS, BASIC_NORMAL, Actor, Consent, Evidence, Period, Provision
from consent.errors import InvalidReceipt
from consent.requesters import PurposeOfUse, Requester
from registry.identifiers import HomeCommunityId, PatientIdentifier
from registry.matching import numbers_conflict
from registry.people import PatientInQuestion

NO_LIMITS = Provision("permit")
HASH_LENGTHS = (64, 40)
"""Hex digits of SHA-256, and of the SHA-1 that FHIR prescribes for an attachment."""
CLOCK_TOLERANCE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class ConsentReceipt:
    """One written request as it travels.

    id             of the receipt; the same for all copies, and what a withdrawal names
    patient        the identifiers under which the asking hospital knows the patient (normal form)
    holders        whose data are asked for; empty: every hospital of the network
    recipient      who may see them
    signer         the hospital that recorded and signed it: always the recipient
    evidence_hash  SHA-256 of the signed paper, hex; SHA-1 where nothing else was told of it
    actors         who at the recipient may see them; empty: all who treat there
    limits         what the request leaves out: conditions on the data, and exceptions, as a provision says them
    """

    id: str
    patient: frozenset[PatientIdentifier]
    holders: frozenset[HomeCommunityId]
    recipient: HomeCommunityId
    signer: HomeCommunityId
    purposes: frozenset[PurposeOfUse]
    valid: Period
    given: datetime
    issued: datetime
    evidence_hash: str
    evidence_kind: str = "paper"
    recorded_by: str = ""
    policy: str = BASIC_NORMAL
    actors: tuple[Actor, ...] = ()
    limits: Provision = NO_LIMITS

    def check(self, requester: Requester, holder: HomeCommunityId, *, now: datetime) -> None:
        """Raise InvalidReceipt unless it speaks of this holder, this asking hospital, this purpose and this moment."""
        if self.signer != self.recipient or self.recipient != requester.home:
            raise InvalidReceipt("other-recipient")
        if self.holders and holder not in self.holders:
            raise InvalidReceipt("other-holder")
        if not self.patient:
            raise InvalidReceipt("no-patient")
        if len(self.evidence_hash) not in HASH_LENGTHS:
            raise InvalidReceipt("no-evidence")
        if self.issued > now + CLOCK_TOLERANCE or self.given > now + CLOCK_TOLERANCE:
            raise InvalidReceipt("from-the-future")
        if not self.valid.holds(now):
            raise InvalidReceipt("not-valid-now")
        if requester.purpose not in self.purposes:
            raise InvalidReceipt("other-purpose")

    def speaks_of(self, patient: PatientInQuestion) -> bool:
        """The patient is the one who signed: they share an identifier, and no personal number tells them apart.

        An insurance card that was lent is one that two people share.
        """
        return bool(self.patient & patient.numbers) and not numbers_conflict(self.patient, patient.identifiers)

    def as_consent(self, patient: PatientIdentifier, record_id: str, holder: HomeCommunityId) -> Consent:
        """The consent that it is at the holder, for the patient that the holder found."""
        return Consent(
            id=self.id,
            patient=patient,
            record_id=record_id,
            status="active",
            given=self.given,
            policy=self.policy,
            provision=replace(
                self.limits,
                id=f"receipt:{self.id}",
                period=self.valid,
                actors=self.actors or (Actor(home=self.recipient),),
                purposes=self.purposes,
            ),
            custodian=holder,
            evidence=Evidence(self.evidence_kind, f"urn:uuid:{self.id}", self.evidence_hash),
            receipt=self.id,
            recorded_by=str(self.signer),
        )


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The patient took a written request back; signed by the hospital that had recorded it."""

    receipt_id: str
    signer: HomeCommunityId
    withdrawn: datetime
    issued: datetime


def receipt_of(
    consent: Consent, numbers: Iterable[PatientIdentifier], *, signer: HomeCommunityId, now: datetime
) -> ConsentReceipt | None:
    """The receipt of a consent recorded at the asking hospital, or None where it lets this hospital see nothing."""
    root = consent.provision
    ours = _ours(consent, signer)
    if consent.receipt or ours is None or not (consent.permits_something and consent.in_force(now)):
        return None
    if root.type != "permit" or any(provision.instances for provision in root.everywhere):
        return None
    if consent.is_unresolved or consent.evidence is None or len(consent.evidence.hash) not in HASH_LENGTHS:
        return None
    # FHIR names the keeper of the consent where others name the holder of the data: our own name means everybody
    holder = None if consent.custodian == signer else consent.custodian
    return ConsentReceipt(
        id=consent.id,
        patient=frozenset(number.normal for number in numbers),
        holders=frozenset({holder} if holder else ()),
        recipient=signer,
        signer=signer,
        purposes=root.purposes or frozenset({PurposeOfUse.TREAT}),
        valid=root.period,
        given=consent.given,
        issued=now,
        evidence_hash=consent.evidence.hash,
        evidence_kind=consent.evidence.kind,
        recorded_by=consent.recorded_by,
        policy=consent.policy,
        actors=ours,
        limits=replace(root, id="", period=ALWAYS, actors=(), purposes=frozenset()),
    )


def _ours(consent: Consent, signer: HomeCommunityId) -> tuple[Actor, ...] | None:
    """The actors of this hospital, none where all of it is meant; None where the request does not speak of it.

    A request to a named holder that names no actor opens its data to every hospital (IHE PCF 1.1, actor), so to us.
    """
    named = tuple(actor for actor in consent.provision.actors if actor.home == signer)
    if any(actor.subject is None and actor.role is None for actor in named):
        return ()
    if not named:
        to_all = not consent.provision.actors and consent.custodian not in (None, signer)
        return () if to_all else None
    return named
