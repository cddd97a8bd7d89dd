"""JSON from outside: exact to the last digit, and hostile bodies cost nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest

from adapters.fhir.issues import BadRequest, ContentTooLarge
from adapters.fhir.json_format import parse_json, to_json


def refused(body: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        parse_json(body)
    return str(caught.value)


@pytest.mark.parametrize(
    "number",
    ["0", "-0", "7", "1.50", "0.010", "-0.0", "1E+2", "0.00000001", "12345678901234567890", "0.10000000000000000555"],
)
def test_a_laboratory_value_keeps_its_digits(number: str) -> None:
    body = b'{"resourceType":"Observation","valueQuantity":{"value":%b}}' % number.encode()
    once = parse_json(body)
    again = parse_json(to_json(once))["valueQuantity"]["value"]
    assert again == once["valueQuantity"]["value"]
    assert str(again) == str(Decimal(number)) or (number, again) == ("-0", 0)


def test_vietnamese_names_arrive_as_they_were_sent_with_or_without_a_byte_order_mark() -> None:
    body = '{"resourceType":"Patient","name":[{"text":"Nguyễn Thị Ánh 🌸"}]}'.encode()
    assert to_json(parse_json(b"\xef\xbb\xbf" + body)) == body


def test_an_escaped_emoji_is_two_halves_that_belong_together() -> None:
    assert parse_json(rb'{"resourceType":"A","x":"\ud83c\udf38"}')["x"] == "🌸"


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceType":"Patient","id":"1","id":"2"}',
        b'{"resourceType":"A","x":NaN}',
        b'{"resourceType":"A","x":-Infinity}',
        rb'{"resourceType":"A","x":"\u0000"}',
        rb'{"resourceType":"A","\u0000":1}',
        rb'{"resourceType":"A","x":"\ud800"}',
        b'{"resourceType":"A","x":"\xef\xbf\xbf"}',
        b'{"resourceType":"A","x":"\x01"}',
        b'{"resourceType":"A","x":"\xff"}',
        b'{"resourceType":"A","x":"\xed\xa0\x80"}',
        '{"resourceType":"A"}'.encode("utf-16"),
        b'[{"resourceType":"A"}]',
        b'{"resourceType":1}',
        b'{"resourceType":"A"} {}',
        b'{"resourceType":"A",}',
        b"{}",
        b"null",
        b"",
        b'{"resourceType":"A","x":1e999999999}',
        b'{"resourceType":"A","x":0e99999999999999999999}',
        b'{"resourceType":"A","x":%b}' % (b"9" * 100_000),
        b'{"resourceType":"A","x":01}',
        b"[" * 400_000,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b'"' + b'\\"' * 1_000_000,
        b'{"' * 1_000_000,
    ],
    ids=lambda body: body[:40].decode("latin-1"),
)
def test_what_is_not_json_of_fhir_is_refused(body: bytes) -> None:
    refused(body)


def test_an_error_tells_the_place_and_not_the_content() -> None:
    text = refused('{"resourceType":"Patient",\n"name": [{"text": "Nguyễn Thị Lan" "x"}]}'.encode())
    assert "line 2, column 36" in text
    assert "Lan" not in text


def test_brackets_inside_a_text_are_not_depth() -> None:
    assert parse_json(b'{"resourceType":"A","x":"%b\\""}' % (b"[" * 1000))["x"] == "[" * 1000 + '"'


def test_a_text_ends_at_a_quote_after_whole_escapes_only() -> None:
    inside = b'{"resourceType":"A","x":"\\\\","y":"\\\\\\"' + b"[" * 1000 + b'"}'
    assert parse_json(inside) == {"resourceType": "A", "x": "\\", "y": '\\"' + "[" * 1000}
    outside = b'{"resourceType":"A","x":"\\\\","y":' + b"[" * 1000 + b"]" * 1000 + b"}"
    assert "nested" in refused(outside)


def test_sixty_four_levels_are_read() -> None:
    body = b'{"resourceType":"A","x":' + b"[" * 63 + b"]" * 63 + b"}"
    assert parse_json(body)["resourceType"] == "A"


def test_a_body_beyond_the_limit_is_too_large() -> None:
    with pytest.raises(ContentTooLarge):
        parse_json(b'{"resourceType":"A"}' + b" " * 100, max_bytes=100)
    with pytest.raises(ContentTooLarge):
        parse_json(b"[" + b"[]," * 1_100_000 + b"[]]")
    with pytest.raises(ContentTooLarge):
        parse_json(b"[" + b'"ab",' * 1_100_000 + b"1]")
