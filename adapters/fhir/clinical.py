"""Facts of visits as resources: Encounter, Condition, MedicationStatement, Observation, Procedure, DiagnosticReport.

They travel inside document bundles only, so each is named by a `urn:uuid` that follows from what it is about: the same
facts give the same bytes.

Source: HL7 FHIR R4 4.0.1; IPS 2.0 (status elements, so that a summary may hold the same resources)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from html import escape
from typing import NamedTuple
from uuid import UUID

from adapters.fhir import Resource
from adapters.fhir.elements import coding, filled
from registry.clinical import Finding, Medication, Problem, Result, Service
from registry.coded import UCUM
from registry.identifiers import HomeCommunityId
from registry.local_time import iso
from registry.submissions import Visit

ACT_CODES = {
    "inpatient": ("IMP", "inpatient encounter"),
    "emergency": ("EMER", "emergency"),
    "": ("AMB", "ambulatory"),
}
CLINICAL_STATUS = "http://terminology.hl7.org/CodeSystem/condition-clinical"
OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
SERVICE_SECTION = "http://terminology.hl7.org/CodeSystem/v2-0074"
EMPTY_REASON = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_FLAGS = frozenset(
    ("<", ">", "A", "AA", "B", "D", "DET", "H", "HH", "HU", "I", "IND", "L", "LL", "LU", "MS", "N", "ND", "NEG", "NR")
) | {"POS", "R", "RR", "S", "U", "VS", "W", "WR"}
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(?:[.,]\d{1,17})?", re.ASCII)
Name = Callable[..., UUID | str]


class Named(NamedTuple):
    """A resource of a bundle with the URL by which the others refer to it, and how a reader sees it."""

    url: str
    resource: Resource
    line: str = ""

    @property
    def reference(self) -> Resource:
        return {"reference": self.url}

    @property
    def entry(self) -> Resource:
        return {"fullUrl": self.url, "resource": self.resource}


@dataclass(frozen=True, slots=True)
class Facts:
    """Resources about `subject`. `name` gives each its stable id."""

    subject: Resource
    name: Name
    _stems: dict[str, str] = field(default_factory=dict, init=False)

    def encounter(self, visit: Visit, diagnoses: Iterable[Named]) -> Named:
        code, shown = ACT_CODES.get(visit.kind, ACT_CODES[""])
        resource = filled(
            resourceType="Encounter",
            status="cancelled" if visit.cancelled else "finished" if visit.discharged else "in-progress",
            subject=self.subject,
            period=filled(start=_time(visit.admitted), end=_time(visit.discharged)),
            diagnosis=[{"condition": each.reference} for each in diagnoses],
        )
        act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
        return self._named("encounter", resource | {"class": {"system": act, "code": code, "display": shown}})

    def conditions(self, problems: Iterable[Problem]) -> Iterator[Named]:
        for place, one in enumerate(problems):
            resource = filled(
                resourceType="Condition",
                clinicalStatus={"coding": [{"system": CLINICAL_STATUS, "code": "active"}]},
                code=filled(coding=[coding(one.code)] if one.code else None, text=one.text),
                subject=self.subject,
                recordedDate=_time(one.made),
            )
            shown = " ".join(filter(None, (one.code.code if one.code else "", one.text)))
            yield self._named("condition", resource, place, line=shown)

    def medications(self, given: Iterable[Medication]) -> Iterator[Named]:
        for place, one in enumerate(given):
            yield self._named("medication", _medication(one, self.subject), place, line=_shown_medication(one))

    def observations(self, results: Iterable[Result]) -> Iterator[Named]:
        for place, one in enumerate(results):
            yield self._named("result", _observation(one, self.subject), place, line=_shown_result(one))

    def procedures(self, services: Iterable[Service]) -> Iterator[Named]:
        for place, one in enumerate(services):
            yield self._named("service", _procedure(one, self.subject), place, line=one.name)

    def laboratory_report(self, results: Iterable[Result], written: list[Named]) -> Named:
        """All values of a visit together; its time is that of the latest."""
        times = [one.resulted for one in results if one.resulted]
        resource = filled(
            resourceType="DiagnosticReport",
            status="final",
            category=[_concept(SERVICE_SECTION, "LAB", "Laboratory")],
            code={"coding": [{"system": "http://loinc.org", "code": "11502-2", "display": "Laboratory report"}]},
            subject=self.subject,
            effectiveDateTime=_time(max(times, default=None)),
            result=[each.reference for each in written],
        )
        return self._named("laboratory", resource)

    def imaging_reports(self, findings: Iterable[Finding]) -> Iterator[Named]:
        for place, one in enumerate(findings):
            resource = filled(
                resourceType="DiagnosticReport",
                status="final",
                category=[_concept(SERVICE_SECTION, "RAD", "Radiology")],
                code=filled(coding=[coding(code) for code in one.codes], text=one.name),
                subject=self.subject,
                effectiveDateTime=_time(one.performed),
                issued=_time(one.resulted),
                conclusion=one.conclusion,
            )
            yield self._named("imaging", resource, place, line=f"{one.name}: {one.conclusion}".rstrip(": "))

    def _named(self, kind: str, resource: Resource, place: int = 0, *, line: str = "") -> Named:
        """Its id is that of its kind with its place for the last twelve digits: a visit may have a thousand results."""
        stem = self._stems.get(kind)
        if stem is None:
            stem = self._stems[kind] = str(self.name("fact", kind))[:24]
        return Named(f"urn:uuid:{stem}{place:012x}", resource, line)


def organization(home: HomeCommunityId, display: str, name: Name) -> Named:
    """The hospital that says all this."""
    resource = filled(
        resourceType="Organization",
        identifier=[{"system": "urn:ietf:rfc:3986", "value": str(home)}],
        name=display,
    )
    return Named(f"urn:uuid:{name('fact', 'organization')}", resource)


def document(identity: str, timestamp: str, members: Iterable[Named]) -> Resource:
    """A document bundle; the first member is its Composition."""
    return {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": identity},
        "type": "document",
        "timestamp": timestamp,
        "entry": [each.entry for each in members],
    }


def section(title: str, code: str, display: str, members: Iterable[Named], *, empty: str = "") -> Resource:
    """A section of a document: what a reader sees, and the resources behind it. `empty`: why there are none."""
    listed = list(members)
    lines = [each.line for each in listed]
    if not listed and empty:
        lines = [empty]
    return filled(
        emptyReason=_concept(EMPTY_REASON, "unavailable", "Unavailable") if not listed and empty else None,
        title=title,
        code={"coding": [{"system": "http://loinc.org", "code": code, "display": display}]},
        text=narrative(lines or ["-"]),
        entry=[each.reference for each in listed],
    )


def narrative(lines: Iterable[str]) -> Resource:
    items = "".join(f"<li>{escape(line, quote=False)}</li>" for line in lines)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><ul>{items}</ul></div>'}


def _medication(one: Medication, subject: Resource) -> Resource:
    about = filled(
        resourceType="MedicationStatement",
        status="completed",
        medicationCodeableConcept=filled(
            coding=[coding(one.code)] if one.code else None, text=f"{one.name} {one.strength}".strip()
        ),
        subject=subject,
        effectiveDateTime=_time(one.ordered),
        dosage=[{"text": one.dose}] if one.dose else None,
        note=[{"text": f"{one.quantity} {one.unit}".strip()}] if one.quantity else None,
    )
    if one.ordered is None:
        about["_effectiveDateTime"] = _UNKNOWN
    return about


def _observation(one: Result, subject: Resource) -> Resource:
    codes = (*one.codes, one.service) if one.service else one.codes
    about: Resource = {
        "resourceType": "Observation",
        "status": "corrected" if one.corrected else "final",
        "category": _LABORATORY,
        "code": filled(coding=[coding(code) for code in codes], text=one.name),
        "subject": subject,
    }
    if one.resulted is None:
        about["_effectiveDateTime"] = _UNKNOWN
    else:
        about["effectiveDateTime"] = iso(one.resulted)
    if _NUMBER.fullmatch(one.value):
        about["valueQuantity"] = filled(
            value=Decimal(one.value.replace(",", ".")),
            unit=one.unit,
            system=UCUM if one.unit_code else None,
            code=one.unit_code or None,
        )
    else:
        about["valueString"] = f"{one.value} {one.unit}".strip()
    if one.flags:
        about["interpretation"] = [_interpretation(flag) for flag in one.flags]
    if one.normal:
        about["referenceRange"] = [{"text": one.normal}]
    return about


def _interpretation(flag: str) -> Resource:
    """As the laboratory wrote it; a code of its table is one of FHIR's. Source: HL7 v2 table 0078, v2-to-FHIR."""
    known = [{"system": INTERPRETATION, "code": flag}] if flag in _FLAGS else None
    return filled(coding=known, text=flag)


def _procedure(one: Service, subject: Resource) -> Resource:
    about = filled(
        resourceType="Procedure",
        status="completed" if one.performed else "unknown",
        code=filled(coding=[coding(one.code)] if one.code else None, text=one.name),
        subject=subject,
        performedDateTime=_time(one.performed),
    )
    if one.performed is None:
        about["_performedDateTime"] = _UNKNOWN
    return about


def _shown_medication(one: Medication) -> str:
    amount = f"{one.quantity} {one.unit}".strip()
    return "; ".join(filter(None, (f"{one.name} {one.strength}".strip(), one.dose, amount)))


def _shown_result(one: Result) -> str:
    extra = "; ".join(filter(None, (f"tham chiếu {one.normal}" if one.normal else "", " ".join(one.flags))))
    told = f"{one.name}: {one.value} {one.unit}".strip()
    return f"{told} ({extra})" if extra else told


def _concept(system: str, code: str, display: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": display}]}


_LABORATORY = [_concept(OBSERVATION_CATEGORY, "laboratory", "Laboratory")]
_UNKNOWN = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}


def _time(moment: datetime | None) -> str | None:
    return iso(moment) if moment else None
