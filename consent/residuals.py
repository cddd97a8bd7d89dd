"""What a token says of the consents behind it, and the rules that are left for whoever has the data.

A token permits one requester and one purpose; what a consent says of single data cannot be known when it is issued, so
it travels as rules. They only narrow: the holder decides on its own consents besides.
Source: IHE PCF 1.1, update to ITI-71 (3.71.4.2.2.1.4): `patient_id`, `doc_id`, `acp`, `residual`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from consent.consents import ALWAYS, Consent, Provision
from consent.decide import AccessRequest, concerns, denies, speaks_here

FORBID_ALL = Provision("deny")


@dataclass(frozen=True, slots=True)
class ConsentClaims:
    """What was considered for one token.

    patient    FHIR address of the Patient, or the number in HL7's CX form
    consents   addresses or URNs of the consents that were used, the newest first
    policies   `Consent.policy.uri` of these
    residual   conditions on data only; "deny" is PCF's "forbid"
    """

    patient: str
    consents: tuple[str, ...]
    policies: tuple[str, ...] = ()
    residual: tuple[Provision, ...] = ()


def used(consents: Sequence[Consent], ask: AccessRequest, *, now: datetime) -> tuple[Consent, ...]:
    """Those that speak of this requester now, the newest first; inside the own hospital only those that name it."""
    speaking = [one for one in consents if speaks_here(one, ask, now) and concerns(one.provision, ask, now)]
    if ask.is_own_hospital:
        speaking = [one for one in speaking if any(actor.home == ask.holder for actor in one.provision.actors)]
    return tuple(sorted(speaking, key=lambda one: one.given, reverse=True))


def residual_of(consents: Sequence[Consent], ask: AccessRequest, *, now: datetime) -> tuple[Provision, ...]:
    """The rules of the one consent that was used, none where there are several.

    In PCF's list a permit stands against every forbid, so two consents, of which the newer one wins, cannot be told in
    one; the holder knows both and decides.
    """
    return tuple(_rules(consents[0], ask, now)) if len(consents) == 1 else ()


def _rules(consent: Consent, ask: AccessRequest, now: datetime) -> Iterator[Provision]:
    root = consent.provision
    exceptions = [each for each in root.provisions if concerns(each, ask, now)]
    permitting = [each for each in exceptions if each.type == "permit"]
    if denies(consent, root):
        yield from (FORBID_ALL, *map(_of_data, permitting))
    elif ask.is_own_hospital:
        yield from (_of_data(each) for each in exceptions if each.type == "deny")
    elif not root.says_all:
        # an exception that denies part of this could not be told: what is permitted here stands against it
        yield from (FORBID_ALL, _of_data(root), *map(_of_data, permitting))
    else:
        yield from map(_of_data, exceptions)


def _of_data(provision: Provision) -> Provision:
    """Only its conditions on data: who asks, and why, is what the token itself says."""
    return replace(provision, id="", period=ALWAYS, actors=(), purposes=frozenset(), provisions=())
