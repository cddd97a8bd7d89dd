"""A foreign issuer of SAML assertions: it writes canonical XML by hand and signs it, with no code of the node."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

DS, EXCLUSIVE = "http://www.w3.org/2000/09/xmldsig#", "http://www.w3.org/2001/10/xml-exc-c14n#"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
MORE, SHA256 = "http://www.w3.org/2001/04/xmldsig-more#", "http://www.w3.org/2001/04/xmlenc#sha256"
XSPA = "urn:oasis:names:tc:xspa:1.0:subject:"


def written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def ce(name: str, code: str, system: str) -> str:
    """A coded value, as canonical XML has it: namespaces first, then attributes by name."""
    return (
        f'<{name} xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" code="{code}" '
        f'codeSystem="{system}" xsi:type="CE"></{name}>'
    )


@dataclass
class Statement:
    """What an assertion is to say; a test changes one thing of it."""

    issuer: str
    audience: str
    now: datetime
    id: str = "_a1"
    subject: str = "bs.lan"
    start: timedelta = timedelta()
    life: timedelta = timedelta(minutes=5)
    confirmation: str = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
    version: str = "2.0"
    one_use: bool = False
    role: tuple[str, str] = ("112247003", "2.16.840.1.113883.6.96")
    purpose: tuple[str, str] = ("TREAT", "2.16.840.1.113883.5.8")
    texts: dict[str, str] = field(default_factory=dict)

    def xml(self) -> str:
        start, end = written(self.now + self.start), written(self.now + self.start + self.life)
        texts = {XSPA + "subject-id": "BS. Trần Thị Lan", XSPA + "organization": "Bệnh viện Thử", **self.texts}
        values = {name: value for name, value in texts.items() if value}
        values["urn:oasis:names:tc:xacml:2.0:subject:role"] = ce("Role", *self.role)
        values[XSPA + "purposeofuse"] = ce("PurposeOfUse", *self.purpose)
        attributes = "".join(
            f'<saml:Attribute Name="{name}"><saml:AttributeValue>{value}</saml:AttributeValue></saml:Attribute>'
            for name, value in values.items()
        )
        return (
            f'<saml:Assertion xmlns:saml="{SAML}" ID="{self.id}" IssueInstant="{start}" Version="{self.version}">'
            f"<saml:Issuer>{self.issuer}</saml:Issuer><saml:Subject><saml:NameID>{self.subject}</saml:NameID>"
            f'<saml:SubjectConfirmation Method="{self.confirmation}"></saml:SubjectConfirmation></saml:Subject>'
            f'<saml:Conditions NotBefore="{start}" NotOnOrAfter="{end}"><saml:AudienceRestriction><saml:Audience>'
            f"{self.audience}</saml:Audience></saml:AudienceRestriction>"
            f"{'<saml:OneTimeUse></saml:OneTimeUse>' if self.one_use else ''}</saml:Conditions>"
            f'<saml:AuthnStatement AuthnInstant="{start}"><saml:AuthnContext><saml:AuthnContextClassRef>'
            "urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext>"
            f"</saml:AuthnStatement><saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion>"
        )


def signed(text: str, key: Any, *, reference: str = "_a1", digest: str = "", algorithm: str = "") -> str:
    """The assertion with its signature behind the issuer."""
    digest = digest or base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    algorithm = algorithm or MORE + ("ecdsa-sha256" if isinstance(key, ec.EllipticCurvePrivateKey) else "rsa-sha256")
    info = (
        f'<ds:SignedInfo xmlns:ds="{DS}"><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}">'
        f'</ds:CanonicalizationMethod><ds:SignatureMethod Algorithm="{algorithm}"></ds:SignatureMethod>'
        f'<ds:Reference URI="#{reference}"><ds:Transforms><ds:Transform Algorithm="{DS}enveloped-signature">'
        f'</ds:Transform><ds:Transform Algorithm="{EXCLUSIVE}"></ds:Transform></ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod><ds:DigestValue>{digest}</ds:DigestValue>'
        "</ds:Reference></ds:SignedInfo>"
    )
    value = base64.b64encode(_signature(info.encode(), key)).decode()
    signature = f'<ds:Signature xmlns:ds="{DS}">{info}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>'
    return text.replace("</saml:Issuer>", f"</saml:Issuer>{signature}", 1)


def _signature(content: bytes, key: Any) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(content, padding.PKCS1v15(), hashes.SHA256())
    r, s = decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA256())))
    size = (key.curve.key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def header(*assertions: str) -> str:
    return f'<wsse:Security xmlns:wsse="{WSSE}" s:mustUnderstand="1">{"".join(assertions)}</wsse:Security>'
