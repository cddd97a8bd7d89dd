"""The one form of an XML signature that is taken: enveloped, over the whole signed element, by a key known before.

Verified first, read afterwards, and read only from the bytes that were verified: `verified` gives back those bytes,
parsed anew, so that nothing which was moved, wrapped or added around them can be taken for signed.
Keys and algorithms that a message names are not believed; the key decides which algorithm holds.

Sources: W3C XML Signature 1.1: 4 and 6; W3C Exclusive Canonicalization 1.0; SAML 2.0 Core: 5.4 (signature profile)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from lxml import etree

from adapters.trust.jwk import Jwk, PublicKey, read_jwk
from adapters.trust.keys import SigningKey
from adapters.xml_door import XmlElement, XmlRefused, parse_xml_bytes
from consent.errors import TokenRefused

DS = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = DS + "enveloped-signature"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_METHODS: dict[str, tuple[str, hashes.HashAlgorithm]] = {
    ECDSA_SHA256: ("EC", hashes.SHA256()),
    _MORE + "ecdsa-sha384": ("EC", hashes.SHA384()),
    _MORE + "rsa-sha256": ("RSA", hashes.SHA256()),
    _MORE + "rsa-sha384": ("RSA", hashes.SHA384()),
    _MORE + "rsa-sha512": ("RSA", hashes.SHA512()),
}
_DIGESTS = {SHA256: "sha256", _MORE + "sha384": "sha384", "http://www.w3.org/2001/04/xmlenc#sha512": "sha512"}
LARGEST = 256 * 1024
_MOST_PREFIXES = 32


def verified(element: XmlElement, keys: Iterable[Jwk]) -> XmlElement:
    """The signed element, parsed from the very bytes that one of these keys signed. Raises TokenRefused("signature").

    The element is left without its signature.
    """
    try:
        content = _verified_bytes(element, keys)
        return parse_xml_bytes(content, max_bytes=LARGEST)
    except (XmlRefused, ValueError, TypeError, AttributeError, LookupError) as error:
        raise TokenRefused("signature") from error


def _verified_bytes(element: XmlElement, keys: Iterable[Jwk]) -> bytes:
    signature = _only_signature(element)
    info, value, *rest = signature
    if (info.tag, value.tag) != (_ds("SignedInfo"), _ds("SignatureValue")) or any(
        r.tag != _ds("KeyInfo") for r in rest
    ):
        raise ValueError("form")
    method, reference = _signed_info(info)
    if reference.get("URI") != "#" + _only_id(element):
        raise ValueError("reference")
    prefixes = _transforms(reference[0])
    signed, signature_value = _canonical(info, _prefixes(info[0])), _bytes_of(value)
    _detach(signature)
    content = _canonical(element, prefixes)
    if not hmac.compare_digest(hashlib.new(_digest_of(reference[1]), content).digest(), _bytes_of(reference[2])):
        raise ValueError("digest")
    if not any(_holds(read_jwk(jwk).key, method, signature_value, signed) for jwk in keys):
        raise ValueError("key")
    return content


def _only_signature(element: XmlElement) -> XmlElement:
    """The signature has to be a child of what it signs, and the only one in it."""
    found = list(element.iter(_ds("Signature")))
    if len(found) != 1 or found[0].getparent() is not element or len(found[0]) < 2:
        raise ValueError("one signature")
    return found[0]


def _only_id(element: XmlElement) -> str:
    """An id that stands twice in the message could mean another element."""
    own: str = element.get("ID", "")
    everywhere = [name for each in element.getroottree().iter() for name in ("ID", "Id", "id") if each.get(name) == own]
    if not own or len(everywhere) != 1:
        raise ValueError("id")
    return own


def _signed_info(info: XmlElement) -> tuple[str, XmlElement]:
    canonicalization, method, reference = info
    expected = (_ds("CanonicalizationMethod"), _ds("SignatureMethod"), _ds("Reference"))
    if (canonicalization.tag, method.tag, reference.tag) != expected or len(reference) != 3 or len(method):
        raise ValueError("form")
    if canonicalization.get("Algorithm") != EXCLUSIVE or method.get("Algorithm") not in _METHODS:
        raise ValueError("algorithm")
    return method.get("Algorithm"), reference


def _transforms(transforms: XmlElement) -> list[str]:
    """Exactly the two of SAML, in their order; the prefixes that the second one takes along."""
    enveloped, exclusive = transforms
    if transforms.tag != _ds("Transforms") or len(enveloped):
        raise ValueError("form")
    if (enveloped.get("Algorithm"), exclusive.get("Algorithm")) != (ENVELOPED, EXCLUSIVE):
        raise ValueError("transform")
    return _prefixes(exclusive)


def _prefixes(element: XmlElement) -> list[str]:
    if len(element) == 0:
        return []
    (listed,) = element
    if listed.tag != f"{{{EXCLUSIVE}}}InclusiveNamespaces":
        raise ValueError("transform")
    found: list[str] = listed.get("PrefixList", "").split()
    if len(found) > _MOST_PREFIXES:
        raise ValueError("prefixes")
    return found


def _digest_of(method: XmlElement) -> str:
    if method.tag != _ds("DigestMethod") or len(method):
        raise ValueError("form")
    return _DIGESTS[method.get("Algorithm")]


def _bytes_of(element: XmlElement) -> bytes:
    if len(element):
        raise ValueError("form")
    try:
        return base64.b64decode("".join((element.text or "").split()), validate=True)
    except binascii.Error as error:
        raise ValueError("base64") from error


def _canonical(element: XmlElement, prefixes: list[str]) -> bytes:
    written: bytes = etree.tostring(
        element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=prefixes or None
    )
    return written


def _detach(signature: XmlElement) -> None:
    """Take it out and leave the text behind it where it stood."""
    parent, before = signature.getparent(), signature.getprevious()
    if signature.tail and before is not None:
        before.tail = (before.tail or "") + signature.tail
    elif signature.tail:
        parent.text = (parent.text or "") + signature.tail
    parent.remove(signature)


def _holds(key: PublicKey, method: str, value: bytes, signed: bytes) -> bool:
    kind, hash_ = _METHODS[method]
    try:
        if isinstance(key, rsa.RSAPublicKey) and kind == "RSA":
            key.verify(value, signed, padding.PKCS1v15(), hash_)
        elif isinstance(key, ec.EllipticCurvePublicKey) and kind == "EC":
            key.verify(_as_der(value, key), signed, ec.ECDSA(hash_))
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def _as_der(value: bytes, key: ec.EllipticCurvePublicKey) -> bytes:
    """XML writes both numbers one after the other, each as long as the curve. Source: XML Signature 1.1: 6.4.3."""
    size = (key.curve.key_size + 7) // 8
    if len(value) != 2 * size:
        raise ValueError("length")
    return encode_dss_signature(int.from_bytes(value[:size], "big"), int.from_bytes(value[size:], "big"))


def signed_by(element: XmlElement, key: SigningKey, *, position: int) -> str:
    """The element as text, with a signature as its child at `position`. Its id stands in `ID`."""
    digest = base64.b64encode(hashlib.sha256(_canonical(element, [])).digest()).decode()
    info = etree.fromstring(
        f'<ds:SignedInfo xmlns:ds="{DS}"><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/>'
        f'<ds:SignatureMethod Algorithm="{ECDSA_SHA256}"/><ds:Reference URI="#{element.get("ID")}"><ds:Transforms>'
        f'<ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="{EXCLUSIVE}"/></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{SHA256}"/><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>'
        "</ds:SignedInfo>"
    )
    r, s = decode_dss_signature(key.key.sign(_canonical(info, []), ec.ECDSA(hashes.SHA256())))
    signature = etree.Element(_ds("Signature"), nsmap={"ds": DS})
    signature.append(info)
    value = etree.SubElement(signature, _ds("SignatureValue"))
    value.text = base64.b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode()
    name = etree.SubElement(etree.SubElement(signature, _ds("KeyInfo")), _ds("KeyName"))
    name.text = key.kid
    element.insert(position, signature)
    written: str = etree.tostring(element, encoding="unicode", method="xml", with_tail=False)
    return written


def _ds(name: str) -> str:
    return f"{{{DS}}}{name}"
