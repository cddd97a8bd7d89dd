"""A permission of a child needs a representative, whichever door it comes through; nothing is stored without."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hie_node.cli import app
from hie_node.commands.output import home_option
from registry.people import BirthDate, Demographics, HumanName
from tests.house.test_mpi_commands import Node as CommandLine
from tests.lab import Answer, Hospital, Lab
from tests.papers import LAN

CHILD = replace(LAN, key="0077", name="Nguyễn Gia Bảo", born="2018-02-03", gender="male", national_id=None)
SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"
MOTHER = {"resourceType": "RelatedPerson", "id": "mother", "name": [{"text": "Lê Thị Ba"}]}


def message(node: Hospital, **changed: Any) -> dict[str, Any]:
    patient = {"identifier": {"system": node.number_of(CHILD).system, "value": node.number_of(CHILD).value}}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": SCOPES, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": patient,
        "dateTime": "2026-11-23T08:00:00+07:00",
        "performer": [patient],
        "organization": [{"identifier": {"system": "urn:ietf:rfc:3986", "value": str(node.home)}}],
        "sourceAttachment": {"contentType": "application/pdf", "data": b64encode(b"%PDF-1.7 signed").decode()},
        "policy": [{"uri": "https://profiles.ihe.net/ITI/PCF/Policy-basic-normal"}],
        "provision": {"type": "permit"},
        **changed,
    }  # fmt: skip


def kept(node: Hospital) -> list[str]:
    with node.house.storage.read() as unit:
        found = unit.consents.search(record_ids=None, statuses=None, limit=10)
        return [one.evidence.represented_by if one.evidence else "" for one in found]


def records(node: Hospital, **changed: Any) -> Answer:
    return node.asked("POST", "/fhir/Consent", message(node, **changed))


def test_a_message_names_who_signed_for_the_child(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    node.registers(CHILD)
    refused = records(node)
    assert refused.status == 422 and refused.issues[0]["expression"] == ["Consent.performer"]
    assert kept(node) == []
    by_reference = [{"type": "RelatedPerson", "display": "Lê Thị Ba"}]
    for performer in ([{"reference": "#mother"}], by_reference, [*by_reference, {"reference": "Patient/1"}]):
        made = records(node, performer=performer, contained=[{**MOTHER, "patient": message(node)["patient"]}])
        assert made.status == 201, made.body
        again = node.asked("GET", f"/fhir/Consent/{json.loads(made.body)['id']}")
        assert json.loads(again.body)["performer"] == performer
    assert kept(node) == ["Lê Thị Ba"] * 3
    assert records(node, provision={"type": "deny"}, policy=[{"uri": REFUSAL}]).status == 201, "alone"


REFUSAL = "https://profiles.ihe.net/ITI/PCF/Policy-deny"


@pytest.fixture
def line(tmp_path: Path) -> Iterator[CommandLine]:
    before = home_option.set(None)
    made = CommandLine(tmp_path / "node")
    yield made
    made.house.storage.close()
    home_option.reset(before)


def test_the_command_line_asks_for_the_representative(line: CommandLine, tmp_path: Path) -> None:
    line.registers("0077", Demographics(HumanName(CHILD.name), BirthDate(CHILD.born), "male"))
    paper = tmp_path / "signed.pdf"
    paper.write_bytes(b"%PDF-1.7 signed")
    command = ["--home", str(line.home), "consent", "record", "--number", "0077", "--evidence", str(paper)]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code != 0 and "--represented-by" in str(refused.exception or refused.output)
    done = CliRunner().invoke(app, [*command, "--represented-by", "Lê Thị Ba"])
    assert done.exit_code == 0, done.output
    with line.house.storage.read() as unit:
        (consent,) = unit.consents.search(record_ids=None, statuses=None, limit=10)
    assert consent.evidence is not None and consent.evidence.represented_by == "Lê Thị Ba"
