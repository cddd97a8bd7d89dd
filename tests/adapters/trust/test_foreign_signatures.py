"""Assertions that other programs signed (xmlsec 1.3, signxml 5.2) are verified as they came."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.soap.names import SAML, named, text_of
from adapters.trust.xml_signature import verified
from adapters.xml_door import parse_xml_bytes
from consent.errors import TokenRefused

SAMPLES = Path(__file__).parents[2] / "samples" / "soap"


@pytest.mark.parametrize("name", ["xmlsec-ec", "signxml-rsa"])
def test_what_another_program_signed_is_verified_and_nothing_else(name: str) -> None:
    content = (SAMPLES / f"assertion-{name}.xml").read_bytes()
    key = json.loads((SAMPLES / f"assertion-{name}.jwk.json").read_text())
    inside = b'<x:Envelope xmlns:x="urn:x" xmlns:y="urn:y">' + content + b"</x:Envelope>"
    for whole, element in ((content, 0), (inside, 1)):
        root = parse_xml_bytes(whole)
        read = verified(root[0] if element else root, [key])
        assert text_of(read.find(named(SAML, "Issuer"))) == "his"
    with pytest.raises(TokenRefused):
        verified(parse_xml_bytes(content.replace(b"bs.lan", b"bs.eve")), [key])
