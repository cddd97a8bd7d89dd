"""What a silent hospital last listed, inside the entry of its outcome: contained and tagged, so that it is never taken
for something found now, and counts in no total.

Source: HL7 FHIR R4, DomainResource.contained (invariants dom-2 to dom-5), Meta.tag
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from adapters.fhir import Resource
from adapters.fhir.elements import filled, instant
from registry.answers import LastKnown
from registry.earlier import ListedStudy

LAST_KNOWN = "last-known"
EXTENSION = "urn:hie-node:last-known"
"""On the OperationOutcome: `listed` (instant) and a reference to each contained entry."""


def told_before(last: LastKnown, encode_item: Callable[[Any], Resource], system: str) -> tuple[Resource, Resource]:
    """What goes into the OperationOutcome, and the issue that says how old it is."""
    contained = [_entry(one, encode_item, system) for one in last.found]
    references = [{"url": "entry", "valueReference": {"reference": f"#{each['id']}"}} for each in contained]
    about = {"url": EXTENSION, "extension": [{"url": "listed", "valueInstant": instant(last.listed)}, *references]}
    text = (
        f"listed at its last answer, {_age(last.age)} ago: {len(contained)}, in this entry; it may have changed since"
    )
    details = {"coding": [{"system": system, "code": LAST_KNOWN}], "text": text}
    issue = {"severity": "information", "code": "informational", "details": details}
    return {"contained": contained, "extension": [about]}, issue


def _entry(one: Any, encode_item: Callable[[Any], Resource], system: str) -> Resource:
    resource = _counted(one, encode_item(one.study)) if isinstance(one, ListedStudy) else encode_item(one)
    bare: Resource = _without_inner({name: value for name, value in resource.items() if name != "contained"})
    return bare | {"meta": {"tag": [{"system": system, "code": LAST_KNOWN}]}}


def _counted(listed: ListedStudy, resource: Resource) -> Resource:
    """The numbers of images as they were listed: the images themselves are not remembered."""
    series = [
        {**filled(**each), "numberOfInstances": count}
        for each, count in zip(resource.get("series", ()), listed.images, strict=True)
    ]
    return {**resource, "numberOfInstances": sum(listed.images)} | ({"series": series} if series else {})


def _without_inner(value: Any) -> Any:
    """Without pointers to what the resource contained: nothing that is contained contains anything (dom-2)."""
    if isinstance(value, list):
        return [inner for each in value if (inner := _without_inner(each)) not in ({}, [])]
    if not isinstance(value, dict):
        return value
    if str(value.get("reference", "")).startswith("#"):
        value = {name: each for name, each in value.items() if name != "reference"}
    kept = {name: _without_inner(each) for name, each in value.items()}
    return {name: each for name, each in kept.items() if each not in ({}, [])}


def _age(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    for unit, length in (("days", 1440), ("hours", 60)):
        if minutes >= 2 * length:
            return f"{minutes // length} {unit}"
    return f"{max(minutes, 0)} minutes"
