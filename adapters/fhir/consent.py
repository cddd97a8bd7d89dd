"""What a patient allows or forbids, as FHIR's Consent and back.

What the noun does not hold, outside the provision, is kept and given back as it came. Inside the provision everything
is understood, or the consent is refused.

Source: IHE PCF 1.1, StructureDefinitions IHE.PCF.consentBasic, Intermediate, Advanced; HL7 FHIR R4, Consent
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from adapters.fhir import Resource
from adapters.fhir.consent_evidence import EVIDENCE, Source, place_of, read_source, same_evidence, source_elements
from adapters.fhir.consent_parties import (
    Hospital,
    Surroundings,
    hospital_reference,
    read_hospital,
    read_representative,
    refused,
)
from adapters.fhir.consent_rules import provision_element, read_provision
from adapters.fhir.elements import Element, filled, identifier, instant, read_identifier, referenced_id
from adapters.fhir.keeping import give_back, keep
from adapters.fhir.preconditions import refuse_implicit_rules
from adapters.fhir.search_values import interval
from adapters.fhir.writing import meta
from consent.consents import PCF, Actor, Consent, Evidence, Provision
from consent.requesters import PurposeOfUse
from registry.identifiers import PatientIdentifier
from registry.people import PatientInQuestion
from registry.searches import PatientSelector

PROFILE = f"{PCF}StructureDefinition/IHE.PCF.consent"
BASIC, INTERMEDIATE, ADVANCED = (PROFILE + name for name in ("Basic", "Intermediate", "Advanced"))
RECORD_SYSTEM = "urn:hie-node:record"
"""Stands for the patient's own identifier until the flow has looked up the record that the message refers to."""

_SECOND = timedelta(seconds=1)
_SCOPE = ("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy")
_CATEGORY = {"system": "http://loinc.org", "code": "59284-0", "display": "Consent Document"}
_KNOWN = frozenset({"status", "patient", "dateTime", "organization", "source", "policy", "provision"})
_BASIC_PURPOSES = frozenset({PurposeOfUse.TREAT, PurposeOfUse.HPAYMT, PurposeOfUse.HOPERAT})


@dataclass(frozen=True, slots=True)
class ReadConsentMessage:
    """A Consent as a message states it: the noun, how it names the patient, and the scan that it carries."""

    consent: Consent
    patient: PatientSelector
    scan: tuple[bytes, str] | None


def consent(noun: Consent, base: str) -> Resource:
    """The consent as it is shown."""
    shown = _from_noun(noun)
    whole = give_back(shown, noun.extra, known=_KNOWN, says_the_same=lambda other: _says(other, noun, base))
    where = place_of(noun.evidence, base)
    if where and "sourceAttachment" in whole and "url" not in whole["sourceAttachment"]:
        whole = {**whole, "sourceAttachment": {**whole["sourceAttachment"], "url": where}}
    return {**whole, **_extensions(whole, shown), "provision": _with_ids(whole["provision"], noun.provision)}


def _with_ids(element: Element, provision: Provision) -> Element:
    """A provision is shown with the id that decisions name, also where the message gave it none."""
    nested = [_with_ids(*each) for each in zip(element.get("provision", ()), provision.provisions, strict=True)]
    return {**filled(id=provision.id), **element, **filled(provision=nested)}


def _extensions(whole: Resource, shown: Resource) -> Resource:
    """Those of the sender, and ours with what the node knows of the written request."""
    others = [each for each in whole.get("extension", ()) if each.get("url") != EVIDENCE]
    return filled(extension=[*others, *shown.get("extension", ())])


def read_consent(resource: Resource, base: str, *, consent_id: str = "") -> ReadConsentMessage:
    """Raises Unprocessable and InvalidConsent: what PCF does not allow, and what is not understood in a provision.

    consent_id  of the consent that is updated; a new one gets its id from the flow
    """
    refuse_implicit_rules(resource)
    source = read_source(resource, base)
    noun, patient = _read(resource, source, base, consent_id)
    _refuse_beyond_profile(resource, noun.provision)
    received = {name: value for name, value in resource.items() if not name.startswith("source")}
    others = [each for each in received.pop("extension", ()) if each.get("url") != EVIDENCE]
    shown = _from_noun(noun)
    # The flow has yet to look up the record, and will then know more ways to name the patient than the message did.
    told = {name: value for name, value in shown.items() if name not in ("patient", "performer")}
    kept = keep(filled(**received, **source.element, extension=others), told)
    return ReadConsentMessage(replace(noun, extra=kept), patient, source.scan)


def _read(resource: Resource, source: Source, base: str, consent_id: str) -> tuple[Consent, PatientSelector]:
    _refuse_missing(resource)
    around = Surroundings.of(resource, base)
    custodian = _custodian(resource, around)
    patient = read_patient(resource.get("patient", {}), base)
    given, until = interval(resource["dateTime"])
    noun = Consent(
        id=consent_id,
        patient=_identified(patient),
        record_id=patient.record_id or "",
        status=resource["status"],
        given=given,
        given_by=until if until - given > _SECOND else None,
        policy=_policy(resource),
        provision=read_provision(resource["provision"], around),
        custodian=custodian.home,
        custodian_facility=custodian.facility,
        evidence=_signed_for(source.evidence, resource, around),
    )
    return noun, patient


def _signed_for(evidence: Evidence | None, resource: Resource, around: Surroundings) -> Evidence | None:
    """With the representative that the performers name, unless our own extension names one."""
    if evidence is None or evidence.represented_by:
        return evidence
    return replace(evidence, represented_by=read_representative(resource["performer"], around))


def read_patient(reference: Resource, base: str) -> PatientSelector:
    """Whose consent: by the record's id, by an identifier, or by both."""
    record_id = referenced_id(reference, "Patient", base=base)
    number = read_identifier(reference.get("identifier"))
    if (record_id is None and number is None) or ("reference" in reference and record_id is None):
        raise refused(
            "Consent.patient", "Patient/ and an id of this base, or an identifier with its system", "required"
        )
    return PatientSelector(record_id, PatientInQuestion((number,)) if number else None)


def _identified(patient: PatientSelector) -> PatientIdentifier:
    if patient.described:
        return patient.described.identifiers[0]
    return PatientIdentifier(RECORD_SYSTEM, patient.record_id or "")


def _refuse_missing(resource: Resource) -> None:
    """What PCF needs beyond R4, and `verification`, which it does not allow."""
    for name in ("dateTime", "performer", "organization", "provision"):
        if name not in resource:
            raise refused(f"Consent.{name}", "this element (PCF)", "required")
    if "verification" in resource:
        raise refused("Consent.verification", "no verification (PCF); evidence is the source of the consent")
    scopes = [(each.get("system"), each.get("code")) for each in resource.get("scope", {}).get("coding", ())]
    if _SCOPE not in scopes:
        raise refused("Consent.scope", "patient-privacy of consentscope", "code-invalid")


def _custodian(resource: Resource, around: Surroundings) -> Hospital:
    organizations = resource["organization"]
    if len(organizations) != 1:
        raise refused("Consent.organization", "one custodian; a consent for several hospitals is recorded for each")
    return read_hospital(organizations[0], around, "Consent.organization")


def _policy(resource: Resource) -> str:
    uris = [each.get("uri") for each in resource.get("policy", ())]
    if len(uris) != 1 or not uris[0]:
        raise refused("Consent.policy.uri", "one policy of PCF", "required")
    return str(uris[0])


def _refuse_beyond_profile(resource: Resource, provision: Provision) -> None:
    """Who claims a profile of PCF keeps to it."""
    claimed = {BASIC, INTERMEDIATE, ADVANCED} & set(resource.get("meta", {}).get("profile", ()))
    needed = profile_of(provision)
    order = [BASIC, INTERMEDIATE, ADVANCED]
    if claimed and order.index(needed) > max(order.index(each) for each in claimed):
        name = needed.rpartition("/")[2]
        raise refused("Consent.provision", f"no more than the claimed profile allows; this provision needs {name}")


def profile_of(provision: Provision) -> str:
    """The smallest profile of PCF that can say it. Purposes are extensible in all three."""
    if any(each.labels for each in provision.everywhere):
        return ADVANCED
    if provision.provisions or provision.looks_at_items:
        return INTERMEDIATE
    return BASIC


def _from_noun(noun: Consent) -> Resource:
    reference = filled(reference=f"Patient/{noun.record_id}" if noun.record_id else None)
    number = {} if noun.patient.system == RECORD_SYSTEM else {"identifier": identifier(noun.patient)}
    patient = {**reference, **number}
    return filled(
        resourceType="Consent",
        id=noun.id,
        meta=meta(noun.version, noun.updated, profile_of(noun.provision)),
        status=noun.status,
        scope={"coding": [{"system": _SCOPE[0], "code": _SCOPE[1]}]},
        category=[{"coding": [_CATEGORY]}],
        patient=patient,
        dateTime=instant(noun.given),
        performer=[patient],
        organization=[hospital_reference(noun.custodian, noun.custodian_facility)],
        policy=[{"uri": noun.policy}],
        provision=provision_element(noun.provision),
        **source_elements(noun.evidence),
    )


def _says(resource: Resource, noun: Consent, base: str) -> bool:
    """Whether this form still says what the consent says, however its parts are written."""
    source = read_source(resource, base)
    if source.evidence is None and "sourceAttachment" in resource:
        # What was attached lies in the content store now; only the noun knows where.
        source = replace(source, evidence=noun.evidence)
    said, patient = _read(resource, source, base, noun.id)
    return (
        (said.status, said.given, said.policy) == (noun.status, noun.given, noun.policy)
        and _as_named(said.provision) == _as_named(noun.provision)
        and _custodian_as_named(said) == _custodian_as_named(noun)
        and patient.record_id in (None, noun.record_id)
        and (patient.described is None or noun.patient in patient.described.identifiers)
        and same_evidence(said.evidence, noun.evidence)
    )


def _as_named(provision: Provision) -> Provision:
    """Without what the flow adds: the id of each provision, and the community behind a facility code."""
    actors = tuple(
        Actor(None, each.subject, each.role, each.facility) if each.facility else each for each in provision.actors
    )
    return replace(provision, id="", actors=actors, provisions=tuple(map(_as_named, provision.provisions)))


def _custodian_as_named(noun: Consent) -> object:
    return noun.custodian_facility or noun.custodian
