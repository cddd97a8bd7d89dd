"""May this be seen? The one place where a disclosure is permitted or refused.

Order: closed lists, then treatment inside the own hospital, then what the patient said, then emergency access, then
the base policy. Among consents that speak the newest wins, and a tie denies. Pure: values in, a decision with its
reason and the provision that decided out.

Sources: IHE PCF 1.1 (provisions, policies), Law 91/2025/QH15 Art. 19 k1 and Art. 26 k2, Law 71/2020/QH14 Art. 30.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from consent.consents import (
    ALL_NORMAL,
    ALWAYS,
    BASIC_NORMAL,
    BREAK_GLASS_ONLY,
    DENY,
    Actor,
    Consent,
    Provision,
    ProvisionType,
)
from consent.emergency import is_declared
from consent.policy import BasePolicy
from consent.reasons import Reason
from consent.requesters import PurposeOfUse, Requester
from registry.identifiers import HomeCommunityId


@dataclass(frozen=True, slots=True)
class Item:
    """What is wanted, as far as rules look at it."""

    labels: frozenset[str] = frozenset()
    id: str = ""
    unique_id: str = ""
    made: datetime | None = None
    authors: frozenset[str] = frozenset()
    encounters: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """Who wants what of a patient, from the hospital `holder`.

    residual   rules that came with the token and narrow whatever is permitted here (IHE PCF 1.1, ITI-71)
    """

    requester: Requester
    holder: HomeCommunityId
    item: Item = Item()
    residual: tuple[Provision, ...] = ()

    @property
    def is_own_hospital(self) -> bool:
        return self.requester.home == self.holder

    @property
    def purpose(self) -> PurposeOfUse:
        return self.requester.purpose


@dataclass(frozen=True, slots=True)
class Decision:
    """Permit or deny, why, and which provision of which consent said so."""

    permit: bool
    reason: Reason
    consent_id: str | None = None
    provision_id: str | None = None

    @property
    def type(self) -> ProvisionType:
        return "permit" if self.permit else "deny"


CLOSED = frozenset({"HIV", "V"})
UNREVIEWED = "UNREVIEWED"
STAYS = "STAYS"
RESTRICTED = "R"
_UNKNOWN_PARTIES = Provision("deny")


def decide(ask: AccessRequest, consents: Sequence[Consent], policy: BasePolicy, *, now: datetime) -> Decision:
    """One item, one requester, one moment. `consents` are those of the patient that this node holds."""
    decision = _decided(ask, consents, policy, now)
    if decision.permit and not _left_by(ask.residual, ask.item):
        return Decision(False, Reason.OUTSIDE)
    return decision


def _left_by(residual: Sequence[Provision], item: Item) -> bool:
    """A rule that permits stands against any that forbids; what no rule speaks of is left as it was decided."""
    touching = [rule.type for rule in residual if covers_item(rule, item)]
    return "permit" in touching or not touching


def _decided(ask: AccessRequest, consents: Sequence[Consent], policy: BasePolicy, now: datetime) -> Decision:
    if ask.is_own_hospital:
        return _inside(ask, consents, policy, now)
    if not ask.requester.role.treats:
        return Decision(False, Reason.ROLE)
    if ask.item.labels & CLOSED:
        return Decision(False, Reason.CLOSED_LIST)
    if UNREVIEWED in ask.item.labels:
        return Decision(False, Reason.UNREVIEWED_TEXT)
    if STAYS in ask.item.labels:
        return Decision(False, Reason.STAYS_HERE)
    spoken = _what_the_patient_said(ask, consents, now)
    if policy.emergency_access and is_declared(ask.requester, policy.emergency_roles, now=now):
        return spoken if spoken and spoken.permit else Decision(True, Reason.EMERGENCY)
    return spoken or Decision(False, policy.silence)


def may_show_something(ask: AccessRequest, consents: Sequence[Consent], policy: BasePolicy, *, now: datetime) -> bool:
    """Whether there can be any item at all that this requester sees, without a look at any item.

    Where it is False the answer of a holder is the same, whatever it has.
    """
    if decide(ask, consents, policy, now=now).permit:
        return True
    if ask.is_own_hospital or not ask.requester.role.treats:
        return False
    newest_first = sorted(consents, key=lambda one: (one.given, denies(one, one.provision)), reverse=True)
    for consent in newest_first:
        if not speaks_here(consent, ask, now):
            continue
        if consent.is_unresolved:
            return False
        if concerns(consent.provision, ask, now) and _policy_covers(consent, ask):
            permits = _may_permit(consent, ask, now)
            if permits or consent.provision.says_all:
                return permits
    return False


def _may_permit(consent: Consent, ask: AccessRequest, now: datetime) -> bool:
    """Whether something is left that it permits to this requester."""
    exceptions = [nested for nested in consent.provision.provisions if concerns(nested, ask, now)]
    if any(nested.type == "deny" and nested.says_all for nested in exceptions):
        return False
    return not denies(consent, consent.provision) or any(nested.type == "permit" for nested in exceptions)


def _inside(ask: AccessRequest, consents: Sequence[Consent], policy: BasePolicy, now: datetime) -> Decision:
    """Inside the own hospital only a refusal that names this hospital binds, and only outside a declared emergency."""
    if not ask.requester.role.treats and ask.requester.role not in policy.reading_roles:
        return Decision(False, Reason.ROLE)
    if ask.purpose not in policy.own_purposes:
        return Decision(False, Reason.PURPOSE)
    naming = [c for c in consents if any(actor.home == ask.holder for actor in c.provision.actors)]
    spoken = _what_the_patient_said(ask, naming, now)
    if spoken and not spoken.permit:
        declared = policy.emergency_access and is_declared(ask.requester, policy.emergency_roles, now=now)
        return Decision(True, Reason.EMERGENCY) if declared else spoken
    return Decision(True, Reason.OWN_HOSPITAL)


def _what_the_patient_said(ask: AccessRequest, consents: Sequence[Consent], now: datetime) -> Decision | None:
    """The newest consent that speaks; of two from the same moment the one that denies."""
    spoken = list(_speaking(ask, consents, now))
    if not spoken:
        return None
    newest = max(_since(consent, provision) for consent, provision in spoken)
    latest = [(c, p) for c, p in spoken if _since(c, p) == newest]
    consent, provision = next(((c, p) for c, p in latest if denies(c, p)), latest[0])
    permit = not denies(consent, provision)
    reason = Reason.WRITTEN_REQUEST if permit else Reason.PATIENT_REFUSED
    return Decision(permit, reason, consent.id, provision.id or None)


def _since(consent: Consent, provision: Provision) -> datetime:
    """Since when this is what the patient says; a refusal of which only the day is known, at the end of that day."""
    return consent.given_by or consent.given if denies(consent, provision) else consent.given


def denies(consent: Consent, provision: Provision) -> bool:
    """Whether this provision of the consent refuses; its policy may refuse for the root."""
    return provision.type == "deny" or (consent.policy == DENY and provision is consent.provision)


def _speaking(ask: AccessRequest, consents: Sequence[Consent], now: datetime) -> Iterator[tuple[Consent, Provision]]:
    for consent in consents:
        if not speaks_here(consent, ask, now):
            continue
        if consent.is_unresolved:
            # Whom it means is not known yet, so it may only close.
            yield consent, _UNKNOWN_PARTIES
            continue
        root = consent.root
        if not _covers(root, ask, now) or not _policy_covers(consent, ask):
            continue
        exceptions = [nested for nested in root.provisions if _covers(nested, ask, now)]
        denying = [nested for nested in exceptions if nested.type == "deny"]
        yield consent, next(iter(denying or exceptions), root)


def speaks_here(consent: Consent, ask: AccessRequest, now: datetime) -> bool:
    """It is in force, and about the data of this holder."""
    return consent.in_force(now) and consent.custodian in (None, ask.holder)


def _policy_covers(consent: Consent, ask: AccessRequest) -> bool:
    """What a policy of PCF adds to the provision: a permit covers normal data unless it names a label itself."""
    if consent.provision.type == "deny" or consent.policy == DENY:
        return True
    if consent.policy == BREAK_GLASS_ONLY and not ask.purpose.is_emergency:
        return False
    if consent.policy == BASIC_NORMAL and not consent.provision.purposes and not ask.purpose.is_care:
        return False
    assert consent.policy in (BASIC_NORMAL, ALL_NORMAL, BREAK_GLASS_ONLY)
    return RESTRICTED not in ask.item.labels or RESTRICTED in consent.provision.labels


def concerns(provision: Provision, ask: AccessRequest, now: datetime) -> bool:
    """It is about this requester, this purpose and this moment, whatever the item."""
    return (
        provision.period.holds(now)
        and (not provision.actors or any(_is(actor, ask.requester) for actor in provision.actors))
        and (not provision.purposes or ask.purpose in provision.purposes)
    )


def _covers(provision: Provision, ask: AccessRequest, now: datetime) -> bool:
    return concerns(provision, ask, now) and covers_item(provision, ask.item)


def covers_item(provision: Provision, item: Item) -> bool:
    """It speaks of this item, whoever asks."""
    return (
        (not provision.instances or bool({item.id, item.unique_id} & provision.instances))
        and (not provision.authors or bool(item.authors & provision.authors))
        and (not provision.encounters or bool(item.encounters & provision.encounters))
        and (not provision.labels or _labels_fit(provision, item))
        and (provision.data_period == ALWAYS or (item.made is not None and provision.data_period.holds(item.made)))
    )


def _labels_fit(provision: Provision, item: Item) -> bool:
    """A permit for labels covers items that carry no other; a denial of a label covers each item that carries it."""
    if provision.type == "deny":
        return bool(item.labels & provision.labels) or ("N" in provision.labels and not item.labels)
    return item.labels <= provision.labels | {"N"}


def _is(actor: Actor, requester: Requester) -> bool:
    return (
        not actor.is_unresolved
        and (actor.home is None or actor.home == requester.home)
        and (actor.subject is None or actor.subject == requester.subject)
        and (actor.role is None or actor.role == requester.role.value)
    )
