"""What a gateway hears where several people fit: which detail would tell them apart, and never who they are."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from adapters.soap.iti55_deferred import asked_again, kept_question
from adapters.soap.iti55_patient_discovery import answer_message
from registry.commands import Discovered
from registry.identifiers import HomeCommunityId
from tests.conformance.soap import NS, refuse_faulty
from tests.conformance.test_gateways import discovery

HERE = HomeCommunityId("urn:oid:2.25.1")
GENDER = '<livingSubjectAdministrativeGender><value code="M"/><semanticsText>G</semanticsText>'
GENDER += "</livingSubjectAdministrativeGender>"
MORE = (
    "<mothersMaidenName><value><family>Lê</family><given>Thị Mẹ</given></value><semanticsText>M</semanticsText>"
    "</mothersMaidenName><patientAddress><value><streetAddressLine>12 Lý Thái Tổ</streetAddressLine></value>"
    "<semanticsText>A</semanticsText></patientAddress><patientTelecom><value value='tel:0912000001'/>"
    "<semanticsText>T</semanticsText></patientTelecom>"
)


def answered(question: str) -> tuple[list[str], str]:
    """What more is asked for, and the code of the answer."""
    refuse_faulty(etree.fromstring(question))
    request = kept_question(question.encode(), "urn:uuid:1", HERE)
    asked_again(request)
    answer = etree.fromstring(answer_message(Discovered(None, ambiguous=True), request))
    refuse_faulty(answer)
    wanted: list[Any] = answer.findall(".//h:triggerFor/h:actOrderRequired/h:code", NS)
    return [one.get("code") for one in wanted], answer.find(".//h:queryResponseCode", NS).get("code")


def test_what_was_not_said_is_asked_for() -> None:
    whole = discovery(None)  # type: ignore[arg-type]
    assert answered(whole.replace(GENDER, "")) == (
        [
            "LivingSubjectAdministrativeGenderRequested",
            "PatientTelecomRequested",
            "PatientAddressRequested",
            "MothersMaidenNameRequested",
        ],
        "OK",
    )
    assert "LivingSubjectAdministrativeGenderRequested" not in answered(whole)[0]


def test_where_everything_was_said_there_is_no_answer() -> None:
    whole = discovery(None)  # type: ignore[arg-type]
    assert answered(whole.replace("</parameterList>", f"{MORE}</parameterList>")) == ([], "AE")


@pytest.mark.parametrize("ambiguous", [True, False])
def test_an_answer_that_shows_nobody_repeats_only_the_question(ambiguous: bool) -> None:
    request = kept_question(discovery(None).encode(), "", HERE)  # type: ignore[arg-type]
    wanted = asked_again(request).wanted
    assert (wanted.demographics.name, wanted.demographics.gender) != (None, "unknown")
    assert "<subject" not in answer_message(Discovered(None, ambiguous=ambiguous), request)
