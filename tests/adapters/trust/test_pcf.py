"""`ihe_pcf` in a token: written, read again the same, and refused where a rule is not understood."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from adapters.trust.pcf import pcf_in, pcf_of
from consent.consents import Period, Provision
from consent.errors import TokenRefused
from consent.residuals import FORBID_ALL, ConsentClaims

BASE = "https://house.bach-mai.example:8443/fhir"
RULES = (
    FORBID_ALL,
    Provision("permit", labels=frozenset({"N", "R"})),
    Provision("deny", data_period=Period(datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC))),
    Provision("deny", instances=frozenset({"d1", "urn:oid:1.2.3"})),
    Provision("permit", authors=frozenset({"urn:oid:1.2.840.99999.1"})),
)
CLAIMS = ConsentClaims("0031^^^&1.2.3&ISO", ("urn:uuid:1", "urn:uuid:2"), ("urn:policy",), RULES)


def read(pcf: object) -> ConsentClaims | None:
    return pcf_in({"extensions": {"ihe_pcf": pcf}}, base=BASE)


def test_what_is_written_is_read_again() -> None:
    written = pcf_of(CLAIMS)
    assert read(written) == CLAIMS
    assert [rule["type"] for rule in written["residual"]] == ["forbid", "permit", "forbid", "forbid", "permit"]
    assert written["residual"][0] == {"type": "forbid"}
    assert written["residual"][3]["data"][0] == {
        "meaning": "instance",
        "reference": {"reference": "DocumentReference/d1"},
    }


def test_a_single_consent_may_stand_without_a_list_and_nothing_said_is_nothing() -> None:
    one = read({"patient_id": f"{BASE}/Patient/1", "doc_id": f"{BASE}/Consent/1"})
    assert one == ConsentClaims(f"{BASE}/Patient/1", (f"{BASE}/Consent/1",))
    assert pcf_in({}, base=BASE) is None
    assert pcf_of(ConsentClaims("p", ())) == {"patient_id": "p"}


def test_rules_that_would_make_the_token_too_long_are_left_to_whoever_decides() -> None:
    many = tuple(Provision("deny", instances=frozenset({f"{number:064}"})) for number in range(40))
    assert "residual" not in pcf_of(ConsentClaims("p", ("urn:uuid:1",), (), many))


@pytest.mark.parametrize(
    "pcf",
    [
        [],
        "all",
        {"patient_id": 7},
        {"patient_id": "x" * 600},
        {"doc_id": {"reference": "Consent/1"}},
        {"doc_id": [1]},
        {"doc_id": ["urn:uuid:1"] * 51},
        {"residual": {}},
        {"residual": ["forbid"]},
        {"residual": [{"type": "deny"}]},
        {"residual": [{}]},
        {"residual": [{"type": "forbid"}] * 51},
        {"residual": [{"type": "forbid", "class": []}]},
        {"residual": [{"type": "forbid", "provision": []}]},
        {"residual": [{"type": "forbid", "securityLabel": "R"}]},
        {"residual": [{"type": "forbid", "securityLabel": [{"code": "made-up"}]}]},
        {"residual": [{"type": "forbid", "dataPeriod": {"start": "soon"}}]},
        {"residual": [{"type": "forbid", "dataPeriod": {"start": 2024}}]},
        {"residual": [{"type": "forbid", "dataPeriod": {"start": "2025", "end": "2024"}}]},
        {"residual": [{"type": "forbid", "data": [{"meaning": "related", "reference": {"reference": "Encounter/1"}}]}]},
        {"residual": [{"type": "forbid", "data": [{"meaning": "instance"}]}]},
        {"residual": [{"type": "forbid", "data": 7}]},
        {"unknown": 1},
    ],
)
def test_what_is_not_understood_makes_no_token(pcf: object) -> None:
    with pytest.raises(TokenRefused):
        read(pcf)
