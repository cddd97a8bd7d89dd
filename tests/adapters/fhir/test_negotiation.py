"""A requester gets the format it asked for, or a 406; a body is read as what it says it is, or a 415."""

from __future__ import annotations

import pytest

from adapters.fhir.issues import NotAcceptable, UnsupportedMediaType
from adapters.fhir.negotiation import request_format, response_format


@pytest.mark.parametrize(
    ("accept", "wanted", "answer"),
    [
        (None, None, "json"),
        ("", None, "json"),
        ("*/*", None, "json"),
        ("application/*", None, "json"),
        ("application/fhir+json", None, "json"),
        ("application/fhir+xml", None, "xml"),
        ("application/fhir+json;fhirVersion=4.0", None, "json"),
        ('Application/FHIR+XML; charset="UTF-8"; FhirVersion="4.0"', None, "xml"),
        ("text/xml", None, "xml"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", None, "xml"),
        ("text/html, */*;q=0.1", None, "json"),
        ("application/fhir+json;q=0.5, application/fhir+xml;q=0.8", None, "xml"),
        ("application/fhir+xml, application/fhir+json", None, "xml"),
        ("application/fhir+json, application/fhir+xml", None, "json"),
        ("*/*, application/json;q=0", None, "xml"),
        ("application/fhir+json;fhirVersion=3.0, application/fhir+xml;q=0.1", None, "xml"),
        ("application/fhir+json", "xml", "xml"),
        ("image/png", "json", "json"),
        (None, "application/fhir xml", "xml"),
        (None, "application/fhir+json", "json"),
        (None, "text/xml", "xml"),
    ],
)
def test_the_answer_comes_as_it_was_asked_for(accept: str | None, wanted: str | None, answer: str) -> None:
    assert response_format(accept, wanted) == answer


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("image/png", None),
        ("application/fhir+json;fhirVersion=5.0", None),
        ("application/json;q=0", None),
        ("application/json;q=much", None),
        ("*/*;q=0", None),
        (",;=,;", None),
        ("*/*", "html"),
        ("*/*", "application/fhir+json;fhirVersion=3.0"),
        ("*/*", "ttl"),
    ],
)
def test_another_format_is_not_acceptable(accept: str | None, wanted: str | None) -> None:
    with pytest.raises(NotAcceptable) as caught:
        response_format(accept, wanted)
    assert caught.value.status == 406


@pytest.mark.parametrize(
    ("content_type", "read_as"),
    [
        ("application/fhir+json", "json"),
        ("application/json; charset=utf-8", "json"),
        ('application/fhir+xml;fhirVersion="4.0"', "xml"),
        ("text/xml", "xml"),
        ("application/json-patch+json", "json-patch"),
    ],
)
def test_a_body_is_read_as_what_it_says_it_is(content_type: str, read_as: str) -> None:
    assert request_format(content_type) == read_as


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "*/*",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/fhir+json;fhirVersion=5.0",
        "application/fhir+json;charset=utf-16",
        "application/xml-patch+xml",
    ],
)
def test_another_body_is_not_read(content_type: str | None) -> None:
    with pytest.raises(UnsupportedMediaType) as caught:
        request_format(content_type)
    assert caught.value.operation_outcome()["issue"][0]["code"] == "not-supported"
