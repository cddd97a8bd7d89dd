"""A search finds what was meant, and refuses what it cannot read instead of ignoring it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from adapters.fhir.issues import BadRequest
from adapters.fhir.search_values import (
    DateValue,
    Parameter,
    ReferenceValue,
    StringValue,
    TokenValue,
    beginning,
    fold,
    interval,
    parse_query,
)


def test_a_comma_separates_values_unless_it_is_escaped() -> None:
    [parameter] = parse_query([("name", r"a\,b,c\\,d\|e\$f")])
    assert parameter == Parameter("name", None, None, (r"a\,b", r"c\\", r"d\|e\$f"))
    assert [StringValue.parse(each).text for each in parameter.values] == ["a,b", "c\\", "d|e$f"]


def test_names_are_taken_apart() -> None:
    pairs = [("subject:Patient.name:exact", "Lan"), ("patient.identifier", "s|1"), ("_has:Consent:patient:status", "a")]
    subject, patient, has = parse_query(pairs)
    assert (subject.name, subject.modifier, subject.chain) == ("subject", "Patient", "name:exact")
    assert subject.chained() == Parameter("name", "exact", None, ("Lan",))
    assert (patient.name, patient.modifier, patient.chain) == ("patient", None, "identifier")
    assert (has.name, has.modifier) == ("_has", "Consent:patient:status")
    with pytest.raises(ValueError, match="no chain"):
        has.chained()


def test_repeated_parameters_stay_apart() -> None:
    assert len(parse_query([("date", "ge2024"), ("date", "lt2025")])) == 2


def test_missing_is_true_or_false() -> None:
    found = parse_query([("date:missing", "true"), ("date:missing", "false"), ("date", "2024")])
    assert [each.missing for each in found] == [True, False, None]


@pytest.mark.parametrize(
    "pairs",
    [
        [("date:missing", "maybe")],
        [("date:missing", "true,false")],
        [("patient.date:missing", "")],
        [("name", "")],
        [("name", "a,,b")],
        [("name", "a,")],
        [("name", "a\x00")],
        [("name", "a\ud800")],
        [("name", "x" * 8193)],
        [("name", ",".join("x" * 101))],
        [("name", "," * 2_000_000)],
        [("name", "\\" * 900_000)],
        [("", "a")],
        [("na me", "a")],
        [("name:", "a")],
        [("name.", "a")],
        [("<script>", "a")],
        [("x" * 65, "a")],
        [("name", "a")] * 101,
    ],
)
def test_a_query_that_cannot_be_read_is_a_bad_request(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_query(pairs)
    assert caught.value.status == 400


def test_the_error_names_the_parameter_and_not_the_value() -> None:
    with pytest.raises(BadRequest, match="name has an empty value") as caught:
        parse_query([("name", "Nguyễn,,Lan")])
    assert "Lan" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value", "matching"),
    [
        ("123", TokenValue(None, "123"), [("s", "123"), (None, "123"), ("", "123")]),
        ("s|123", TokenValue("s", "123"), [("s", "123")]),
        ("|123", TokenValue("", "123"), [(None, "123"), ("", "123")]),
        ("s|", TokenValue("s", None), [("s", "123"), ("s", None), ("s", "1|2")]),
        (r"s|1\|2", TokenValue("s", "1|2"), [("s", "1|2")]),
    ],
)
def test_a_token_has_four_forms(text: str, value: TokenValue, matching: list[tuple[str | None, str]]) -> None:
    assert TokenValue.parse(text) == value
    rest = [("s", "123"), (None, "123"), ("", "123"), ("s", None), ("s", "1|2"), ("other", "9")]
    assert [each for each in rest if value.matches(*each)] == [each for each in rest if each in matching]


@pytest.mark.parametrize("text", ["|", "a|b|c"])
def test_a_token_with_too_little_or_too_much_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        TokenValue.parse(text)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2024", "2023-12-31T17:00:00", "2024-12-31T17:00:00"),
        ("2024-12", "2024-11-30T17:00:00", "2024-12-31T17:00:00"),
        ("2024-02-29", "2024-02-28T17:00:00", "2024-02-29T17:00:00"),
        ("2024-02-29T10:30", "2024-02-29T03:30:00", "2024-02-29T03:31:00"),
        ("2024-02-29T10:30:05", "2024-02-29T03:30:05", "2024-02-29T03:30:06"),
        ("2024-02-29T10:30:05Z", "2024-02-29T10:30:05", "2024-02-29T10:30:06"),
        ("2024-02-29T10:30:05.12Z", "2024-02-29T10:30:05.120", "2024-02-29T10:30:05.130"),
        ("2024-02-29T10:30:05 07:00", "2024-02-29T03:30:05", "2024-02-29T03:30:06"),
        ("2024-02-29T10:30:05-05:00", "2024-02-29T15:30:05", "2024-02-29T15:30:06"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00", "2017-01-01T00:00:01"),
        ("0001", "0001-01-01T00:00:00", "0001-12-31T17:00:00"),
        ("9999-12", "9999-11-30T17:00:00", "9999-12-31T23:59:59.999999"),
        ("0001-01-01T00:00:00+07:00", "0001-01-01T00:00:00", "0001-01-01T00:00:00"),
    ],
)
def test_a_date_is_an_interval_in_vietnamese_time(text: str, low: str, high: str) -> None:
    expected = tuple(datetime.fromisoformat(each).replace(tzinfo=UTC) for each in (low, high))
    value = DateValue.parse(text)
    assert (value.prefix, value.low, value.high) == ("eq", *expected)
    assert interval(text) == expected
    assert beginning(text) == expected[0] and beginning(text).tzinfo is UTC


def test_another_zone_can_be_given() -> None:
    assert DateValue.parse("ge2024-01-01", zone=UTC) == DateValue(
        "ge", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ge",
        "24",
        "2024-2",
        "2024-02-30",
        "2023-02-29",
        "2024-13",
        "0000",
        "2024-01-01T25:00",
        "xx2024",
        "2024 ",
        "2024-01-01T10:00:61Z",
        "2024-01-01T10:00:00+15:00",
        "2024-01-01T24:00:00Z",
        "2024-02-30T10:00:00Z",
        "٢٠٢٤",
        "2024-01-01T10",
        "9" * 8000,
        "gege2024",
    ],
)
def test_a_date_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        DateValue.parse(text)
    with pytest.raises(BadRequest):
        beginning(text)


def day(number: int) -> datetime:
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number - 1)


# The search asks for days 10 up to but without 20; the columns are what happened.
HAPPENED = {
    "before": (day(1), day(10)),
    "over the start": (day(5), day(15)),
    "inside": (day(10), day(20)),
    "over the end": (day(15), day(25)),
    "after": (day(20), day(30)),
    "around": (day(5), day(25)),
    "since, still": (day(15), None),
    "until, ever": (None, day(15)),
}


@pytest.mark.parametrize(
    ("prefix", "fitting"),
    [
        ("eq", {"inside"}),
        ("ne", set(HAPPENED) - {"inside"}),
        ("gt", {"over the end", "after", "around", "since, still"}),
        ("lt", {"before", "over the start", "around", "until, ever"}),
        ("ge", {"inside", "over the end", "after", "around", "since, still"}),
        ("le", {"inside", "before", "over the start", "around", "until, ever"}),
        ("sa", {"after"}),
        ("eb", {"before"}),
        ("ap", set(HAPPENED) - {"before", "after"}),
    ],
)
def test_each_prefix_finds_what_it_should(prefix: str, fitting: set[str]) -> None:
    value = DateValue(prefix, day(10), day(20))  # type: ignore[arg-type]
    assert {name for name, (low, high) in HAPPENED.items() if value.matches_interval(low, high)} == fitting


def test_approximately_widens_with_the_distance_to_now() -> None:
    value = DateValue.parse("ap2024-01-10", zone=UTC)
    assert not value.matches_interval(day(12), day(13))
    assert value.matches_interval(day(12), day(13), now=day(110))
    assert not value.matches_interval(day(25), day(26), now=day(110))
    assert DateValue.parse("ap0001").matches_interval(None, None, now=day(1))


def test_a_name_is_found_without_tones_case_or_the_bar_of_the_d() -> None:
    assert StringValue.parse("nguyen thi").matches("NGUYỄN  Thị Lan")
    assert StringValue.parse("Đỗ").matches("do van an")
    assert not StringValue.parse("lan").matches("Nguyễn Thị Lan")
    assert StringValue.parse("lan", "contains").matches("Nguyễn Thị Lan")
    assert not StringValue.parse("nguyen", "exact").matches("Nguyễn")
    assert StringValue.parse("Nguye\u0302\u0303n", "exact").matches("Nguyễn")
    assert fold("  Đặng   Thị\tÁnh ") == "dang thi anh"


def test_a_string_has_no_other_modifiers() -> None:
    with pytest.raises(BadRequest):
        StringValue.parse("a", "not")


@pytest.mark.parametrize(
    ("text", "modifier", "value"),
    [
        ("1", None, ReferenceValue(id="1")),
        ("1", "Patient", ReferenceValue("Patient", "1")),
        ("Patient/1", None, ReferenceValue("Patient", "1")),
        ("Patient/1", "Patient", ReferenceValue("Patient", "1")),
        ("Patient/1/_history/2", None, ReferenceValue("Patient", "1", version="2")),
        ("https://a/fhir/Patient/1", None, ReferenceValue("Patient", "1", "https://a/fhir/Patient/1")),
        ("urn:uuid:1", None, ReferenceValue(url="urn:uuid:1")),
        ("s|1", "identifier", ReferenceValue(identifier=TokenValue("s", "1"))),
    ],
)
def test_a_reference_has_several_forms(text: str, modifier: str | None, value: ReferenceValue) -> None:
    assert ReferenceValue.parse(text, modifier) == value


@pytest.mark.parametrize(
    ("text", "modifier"),
    [
        ("a/b", None),
        ("#a", None),
        ("/1", None),
        ("Patient/", None),
        ("x/Patient/1", None),
        ("a b", None),
        ("Practitioner/1", "Patient"),
        ("1", "Nonsense"),
        ("1", "exact"),
        ("Patient/1/_history/a b", None),
    ],
)
def test_a_reference_that_is_none_is_refused(text: str, modifier: str | None) -> None:
    with pytest.raises(BadRequest):
        ReferenceValue.parse(text, modifier)
