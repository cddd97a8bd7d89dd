"""Facts of visits as resources: Encounter, Condition, MedicationStatement, Observation, Procedure, DiagnosticReport.

They travel inside document bundles only, so each is named by a `urn:uuid` that follows from what it is about: the same
facts give the same bytes.

Source: HL7 FHIR R4 4.0.1; IPS 2.0 (status elements, so that a summary may hold the same resources)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from html import escape
from uuid import UUID

from adapters.fhir import Resource
from adapters.fhir.elements import coding, filled
from registry.clinical import Finding, Medication, Result, Service
from registry.coded import CodedValue
from registry.submissions import Visit

ACT_CODES = {
    "inpatient": ("IMP", "inpatient encounter"),
    "emergency": ("EMER", "emergency"),
    "": ("AMB", "ambulatory"),
}
CLINICAL_STATUS = "http://terminology.hl7.org/CodeSystem/condition-clinical"
OBSERVATION_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
SERVICE_SECTION = "http://terminology.hl7.org/CodeSystem/v2-0074"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(?:[.,]\d{1,17})?", re.ASCII)
Name = Callable[..., UUID]


@dataclass(frozen=True, slots=True)
class Named:
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
    """The resources of one visit, all about `subject`. `name` gives each its stable id."""

    visit: Visit
    subject: Resource
    name: Name

    def encounter(self, diagnoses: Iterable[Named]) -> Named:
        visit = self.visit
        code, shown = ACT_CODES.get(visit.kind, ACT_CODES[""])
        resource = filled(
            resourceType="Encounter",
            status="finished" if visit.discharged else "in-progress",
            subject=self.subject,
            period=filled(start=_time(visit.admitted), end=_time(visit.discharged)),
            diagnosis=[{"condition": each.reference} for each in diagnoses],
        )
        act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
        return self._named("encounter", resource | {"class": {"system": act, "code": code, "display": shown}})

    def conditions(self) -> Iterator[Named]:
        """Each coded diagnosis; without a code, the words alone."""
        text = self.visit.diagnosis_text or ""
        codes: tuple[CodedValue | None, ...] = self.visit.diagnoses or ((None,) if text else ())
        for place, code in enumerate(codes):
            concept = filled(coding=[coding(code)] if code else None, text=text if place == 0 else None)
            resource = filled(
                resourceType="Condition",
                clinicalStatus={"coding": [{"system": CLINICAL_STATUS, "code": "active"}]},
                code=concept,
                subject=self.subject,
                recordedDate=_time(self.visit.admitted),
            )
            shown = " ".join(filter(None, (code.code if code else "", text if place == 0 else "")))
            yield self._named("condition", resource, place, line=shown)

    def medications(self) -> Iterator[Named]:
        for place, one in enumerate(self.visit.medications):
            yield self._named("medication", _medication(one, self.subject), place, line=_shown_medication(one))

    def observations(self) -> Iterator[Named]:
        for place, one in enumerate(self.visit.results):
            yield self._named("result", _observation(one, self.subject), place, line=_shown_result(one))

    def procedures(self) -> Iterator[Named]:
        for place, one in enumerate(self.visit.services):
            yield self._named("service", _procedure(one, self.subject), place, line=one.name)

    def laboratory_report(self, results: list[Named]) -> Named:
        """All values of a visit together; its time is that of the latest."""
        times = [one.resulted for one in self.visit.results if one.resulted]
        resource = filled(
            resourceType="DiagnosticReport",
            status="final",
            category=[_concept(SERVICE_SECTION, "LAB", "Laboratory")],
            code={"coding": [{"system": "http://loinc.org", "code": "11502-2", "display": "Laboratory report"}]},
            subject=self.subject,
            effectiveDateTime=_time(max(times, default=None)),
            result=[each.reference for each in results],
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
        return Named(f"urn:uuid:{self.name('fact', kind, place)}", resource, line)


def section(title: str, code: str, display: str, members: Iterable[Named]) -> Resource:
    """A section of a document: what a reader sees, and the resources behind it."""
    listed = list(members)
    lines = [each.line for each in listed]
    return filled(
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
        about["_effectiveDateTime"] = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
    return about


def _observation(one: Result, subject: Resource) -> Resource:
    codes = (*one.codes, one.service) if one.service else one.codes
    about = filled(
        resourceType="Observation",
        status="final",
        category=[_concept(OBSERVATION_CATEGORY, "laboratory", "Laboratory")],
        code=filled(coding=[coding(code) for code in codes], text=one.name),
        subject=subject,
        effectiveDateTime=_time(one.resulted),
    )
    if _NUMBER.fullmatch(one.value):
        about["valueQuantity"] = filled(value=Decimal(one.value.replace(",", ".")), unit=one.unit)
    else:
        about["valueString"] = f"{one.value} {one.unit}".strip()
    if one.resulted is None:
        about["_effectiveDateTime"] = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
    return about


def _procedure(one: Service, subject: Resource) -> Resource:
    about = filled(
        resourceType="Procedure",
        status="completed" if one.performed else "unknown",
        code=filled(coding=[coding(one.code)] if one.code else None, text=one.name),
        subject=subject,
        performedDateTime=_time(one.performed),
    )
    if one.performed is None:
        about["_performedDateTime"] = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
    return about


def _shown_medication(one: Medication) -> str:
    amount = f"{one.quantity} {one.unit}".strip()
    return "; ".join(filter(None, (f"{one.name} {one.strength}".strip(), one.dose, amount)))


def _shown_result(one: Result) -> str:
    return f"{one.name}: {one.value} {one.unit}".strip()


def _concept(system: str, code: str, display: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
