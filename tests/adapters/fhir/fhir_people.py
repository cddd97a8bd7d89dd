"""Requests and invented people for the tests of patients, consents and audit."""

from __future__ import annotations

import io
from typing import Any

from adapters.fhir.check import check
from adapters.fhir.json_format import parse_json, to_json
from adapters.fhir.xml_format import parse_xml, to_xml
from adapters.wire import WireRequest, WireResponse
from registry.identifiers import HomeCommunityId, PatientIdentifier

HOME = HomeCommunityId("urn:oid:1.2.704.1.27001")
BACH_MAI = HomeCommunityId("urn:oid:1.2.704.1.1901")
BASE = "https://node.example/fhir"
OWN = "urn:oid:1.2.704.1.27001.1"
A1, A9 = PatientIdentifier(OWN, "A1"), PatientIdentifier(OWN, "A9")


def ask(method: str, path: str, *query: tuple[str, str], body: Any = None, **headers: str) -> WireRequest:
    """A request at the house door; a body is sent as JSON unless the header says XML."""
    content = b"" if body is None else body if isinstance(body, bytes) else to_json(body)
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    if body is not None:
        named.setdefault("content-type", "application/fhir+json")
    params = {}
    parts = path.strip("/").split("/")
    if len(parts) > 1 and not parts[1].startswith(("$", "_")):
        params["id"] = parts[1]
    if "_history" in parts:
        params["version"] = parts[-1]
    return WireRequest(method, path, "house", BASE, HOME, params, query, named, io.BytesIO(content), len(content))


def read(response: WireResponse) -> dict[str, Any]:
    """The resource in an answer, after making sure that R4 permits it."""
    assert isinstance(response.body, bytes)
    kind = dict(response.headers)["Content-Type"]
    resource = parse_xml(response.body) if "xml" in kind else parse_json(response.body)
    sound(resource)
    return resource


def sound(resource: dict[str, Any]) -> None:
    """R4 permits it, and XML says the same as JSON."""
    assert [issue for issue in check(resource) if issue.is_error] == []
    assert parse_xml(to_xml(resource)) == parse_json(to_json(resource))


def diagnostics(response: WireResponse) -> tuple[int, str, str, str]:
    """Status, severity, code and words of an OperationOutcome."""
    issue = read(response)["issue"][0]
    return response.status, issue["severity"], issue["code"], issue.get("diagnostics", issue["details"]["text"])
