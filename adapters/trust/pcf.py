"""`extensions.ihe_pcf`: the consents behind a token, in the words of IHE.

Source: IHE PCF 1.1, update to ITI-71 (3.71.4.2.2.1.4); the conditions of a rule are those of FHIR's Consent.provision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from adapters.fhir.consent_parties import Surroundings
from adapters.fhir.consent_rules import provision_element, read_provision
from adapters.fhir.issues import FhirError
from adapters.trust.jwt_door import text
from consent.consents import Provision
from consent.errors import InvalidConsent, TokenRefused
from consent.residuals import ConsentClaims
from registry.errors import RegistryError

MOST_RULES = 50
MOST_BYTES = 2048
"""Of rules in a token. They only narrow what whoever issues it decides on anyway."""
LONGEST_ADDRESS = 512
_KNOWN = frozenset({"patient_id", "doc_id", "acp", "residual"})
_CONDITIONS = frozenset({"type", "securityLabel", "dataPeriod", "data"})
_TYPES = {"forbid": "deny", "permit": "permit"}
_WORDS = {ours: theirs for theirs, ours in _TYPES.items()}


def pcf_of(claims: ConsentClaims) -> dict[str, Any]:
    """The claims object; what is empty is left out, and rules that would make a token too long for its door."""
    said = {
        "patient_id": claims.patient,
        "doc_id": list(claims.consents),
        "acp": list(claims.policies),
        "residual": [{**provision_element(rule), "type": _WORDS[rule.type]} for rule in claims.residual],
    }
    if len(orjson.dumps(said["residual"])) > MOST_BYTES:
        del said["residual"]
    return {name: value for name, value in said.items() if value}


def pcf_in(claims: Mapping[str, Any], *, base: str) -> ConsentClaims | None:
    """What a token says of consents, None where it says nothing; raises TokenRefused for what is not understood here.

    `base` is the FHIR base that addresses in it may belong to. A rule that is not understood could forbid something.
    """
    extensions = claims.get("extensions", {})
    found = extensions.get("ihe_pcf") if isinstance(extensions, dict) else None
    if found is None:
        return None
    if not isinstance(found, dict) or set(found) - _KNOWN:
        raise TokenRefused("claim")
    return ConsentClaims(
        text(found, "patient_id", limit=LONGEST_ADDRESS, default=""),
        _addresses(found.get("doc_id", [])),
        _addresses(found.get("acp", [])),
        _residual(found.get("residual", []), base),
    )


def _addresses(value: Any) -> tuple[str, ...]:
    """One or a list of them."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or len(listed) > MOST_RULES:
        raise TokenRefused("claim")
    return tuple(text({"one": each}, "one", limit=LONGEST_ADDRESS) for each in listed)


def _residual(rules: Any, base: str) -> tuple[Provision, ...]:
    if not isinstance(rules, list) or len(rules) > MOST_RULES:
        raise TokenRefused("claim")
    return tuple(_rule(each, base) for each in rules)


def _rule(element: Any, base: str) -> Provision:
    if not isinstance(element, dict) or set(element) - _CONDITIONS or element.get("type") not in _TYPES:
        raise TokenRefused("claim")
    try:
        rule = read_provision({**element, "type": _TYPES[element["type"]]}, Surroundings({}, base), "residual")
    except (FhirError, InvalidConsent, RegistryError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise TokenRefused("claim") from error
    if rule.is_unresolved:
        raise TokenRefused("claim")
    return rule
