"""XUA: who asks over SOAP, as a SAML 2.0 assertion inside the message; made for peers, and read from them and from the
systems of this hospital.

What an assertion says is read only after its signature held, out of the bytes that were signed. It says the same as
the claims of a token (`iua.py`) and becomes the same `Requester`.

Sources: SAML 2.0 Core: 2; WS-Security SAML Token Profile 1.1; IHE ITI TF-2: 3.40 (Provide X-User Assertion)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

from lxml import etree

from adapters.soap.datatypes import scheme_of, system_of
from adapters.soap.names import HL7, SAML, WSSE, XSI, children, named, text_of
from adapters.trust.iua import LONGEST_REASON, ROLE_SYSTEM, purpose_in, role_in
from adapters.trust.jwk import Jwk
from adapters.trust.keys import SigningKeys
from adapters.trust.xml_signature import signed_by, verified
from adapters.xml_door import XmlElement
from consent.errors import TokenRefused
from consent.requesters import PurposeOfUse, Requester, Role
from registry.coded import ACT_REASON
from registry.identifiers import HomeCommunityId

LIFETIME = timedelta(seconds=60)
LONGEST = timedelta(hours=1)
"""Of an assertion that somebody else made; ours hold for LIFETIME."""
CLOCK_TOLERANCE = timedelta(seconds=60)
_XSPA = "urn:oasis:names:tc:xspa:1.0:subject:"
SUBJECT_ID, ORGANIZATION = _XSPA + "subject-id", _XSPA + "organization"
ORGANIZATION_ID, PURPOSE = _XSPA + "organization-id", _XSPA + "purposeofuse"
ROLE = "urn:oasis:names:tc:xacml:2.0:subject:role"
HOME_COMMUNITY = "urn:ihe:iti:xca:2010:homeCommunityId"
REASON, RECEIPT = "urn:hie-node:reason", "urn:hie-node:receipt"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_AUTHENTICATED = "urn:oasis:names:tc:SAML:2.0:ac:classes:X509"
_NHIN_PURPOSES = {"TREATMENT": "TREAT", "EMERGENCY": "ETREAT"}
_LONGEST_TEXT = 255
_MOST_VALUES = 32


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a valid assertion says. `one_use`: it is spent with its message (OneTimeUse), until `expires`."""

    issuer: str
    id: str
    subject: str
    name: str
    organization: str
    home: str
    role: Role | None
    purpose: PurposeOfUse | None
    reason: str
    receipts: tuple[str, ...]
    expires: datetime
    one_use: bool

    def requester(self, *, home: HomeCommunityId, role: Role, purpose: PurposeOfUse, client_id: str = "") -> Requester:
        """Whom it names, once its role, its purpose and its hospital are established."""
        return Requester(
            self.subject, role, home, self.name, self.organization, purpose, self.reason, client_id, self.id
        )


def issuer_of(security: XmlElement) -> str:
    """Who says that it issued the assertion of a Security header; nothing is believed yet. Raises TokenRefused."""
    return text_of(_assertion(security).find(named(SAML, "Issuer")))


def read_assertion(security: XmlElement, *, keys: Iterable[Jwk], audiences: frozenset[str], now: datetime) -> Assertion:
    """The assertion in a Security header, signed with one of these keys and meant for us. Raises TokenRefused."""
    element = verified(_assertion(security), keys)
    if element.tag != named(SAML, "Assertion") or element.get("Version") != "2.0":
        raise TokenRefused("form")
    expires, one_use = _conditions(element, audiences, now)
    subject = _subject(element, now)
    said = _Attributes(element)
    return Assertion(
        issuer=text_of(element.find(named(SAML, "Issuer"))),
        id=_bounded(element.get("ID", "")).removeprefix("_"),
        subject=subject,
        name=said.text(SUBJECT_ID),
        organization=said.text(ORGANIZATION),
        home=said.text(HOME_COMMUNITY),
        role=role_in({"subject_role": said.coded(ROLE)}),
        purpose=purpose_in({"purpose_of_use": said.coded(PURPOSE)}),
        reason=said.text(REASON, LONGEST_REASON),
        receipts=tuple(said.texts(RECEIPT)),
        expires=expires,
        one_use=one_use,
    )


def _assertion(security: XmlElement) -> XmlElement:
    """The only assertion in the whole message: a second one could be read for the first."""
    everywhere = list(security.getroottree().iter(named(SAML, "Assertion")))
    if len(everywhere) != 1 or everywhere[0].getparent() is not security:
        raise TokenRefused("missing" if not everywhere else "form")
    return everywhere[0]


def _conditions(element: XmlElement, audiences: frozenset[str], now: datetime) -> tuple[datetime, bool]:
    found = children(element, SAML, "Conditions")
    if len(found) != 1:
        raise TokenRefused("conditions")
    (conditions,) = found
    start, end = _moment(conditions, "NotBefore"), _moment(conditions, "NotOnOrAfter")
    if start is None or end is None or end - start > LONGEST:
        raise TokenRefused("lifetime")
    if now + CLOCK_TOLERANCE < start:
        raise TokenRefused("not-yet-valid")
    if now - CLOCK_TOLERANCE >= end:
        raise TokenRefused("expired")
    restrictions = children(conditions, SAML, "AudienceRestriction")
    named_ones = [{text_of(each) for each in children(one, SAML, "Audience")} for one in restrictions]
    if not named_ones or not all(one & audiences for one in named_ones):
        raise TokenRefused("audience")
    return end + CLOCK_TOLERANCE, bool(children(conditions, SAML, "OneTimeUse"))


def _subject(element: XmlElement, now: datetime) -> str:
    subject = element.find(named(SAML, "Subject"))
    name = "" if subject is None else text_of(subject.find(named(SAML, "NameID")))
    if subject is None or not name:
        raise TokenRefused("subject")
    confirmations = children(subject, SAML, "SubjectConfirmation")
    if not any(one.get("Method") == BEARER and _confirms(one, now) for one in confirmations):
        raise TokenRefused("confirmation")
    return _bounded(name)


def _confirms(confirmation: XmlElement, now: datetime) -> bool:
    data = confirmation.find(named(SAML, "SubjectConfirmationData"))
    if data is None:
        return True
    start, end = _moment(data, "NotBefore"), _moment(data, "NotOnOrAfter")
    return (start is None or start <= now + CLOCK_TOLERANCE) and (end is None or now - CLOCK_TOLERANCE < end)


def _moment(element: XmlElement, name: str) -> datetime | None:
    text = element.get(name)
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise TokenRefused("time") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _bounded(text: str, limit: int = _LONGEST_TEXT) -> str:
    if not text or len(text) > limit or not text.isprintable():
        raise TokenRefused("claim")
    return text


class _Attributes:
    """The attributes of an assertion by name; one that stands twice could be read either way."""

    def __init__(self, element: XmlElement) -> None:
        self._values: dict[str, list[XmlElement]] = {}
        for statement in children(element, SAML, "AttributeStatement"):
            for attribute in children(statement, SAML, "Attribute"):
                name = attribute.get("Name", "")
                if name in self._values:
                    raise TokenRefused("attribute twice")
                self._values[name] = children(attribute, SAML, "AttributeValue")[:_MOST_VALUES]

    def text(self, name: str, limit: int = _LONGEST_TEXT) -> str:
        values = self._values.get(name, [])
        if len(values) > 1:
            raise TokenRefused("claim")
        text = text_of(values[0]) if values else ""
        return _bounded(text, limit) if text else ""

    def texts(self, name: str) -> list[str]:
        return [_bounded(text_of(each)) for each in self._values.get(name, ())]

    def coded(self, name: str) -> Any:
        """A role or purpose as a coding: the CE inside the value, or its text."""
        values = self._values.get(name, [])
        if len(values) > 1:
            raise TokenRefused("claim")
        if not values:
            return None
        inside = next((each for each in values[0] if str(each.tag).startswith(f"{{{HL7}}}")), None)
        if inside is None:
            return text_of(values[0]) or None
        code, system = inside.get("code", ""), system_of(inside.get("codeSystem", ""))
        return {"code": _NHIN_PURPOSES.get(code, code), "system": None if code in _NHIN_PURPOSES else system}


# ---- making ----


def make_assertion(
    keys: SigningKeys,
    requester: Requester,
    *,
    audience: HomeCommunityId,
    now: datetime,
    assertion_id: str,
    receipts: Sequence[str] = (),
) -> str:
    """A wsse:Security header with a signed assertion for one question to one peer."""
    start, end = (moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (now, now + LIFETIME))
    attributes = "".join(_written(requester, receipts))
    element = etree.fromstring(
        f'<saml:Assertion xmlns:saml="{SAML}" ID="_{escape(assertion_id)}" IssueInstant="{start}" Version="2.0">'
        f"<saml:Issuer>{requester.home}</saml:Issuer>"
        f"<saml:Subject><saml:NameID>{escape(requester.subject)}</saml:NameID>"
        f'<saml:SubjectConfirmation Method="{BEARER}"/></saml:Subject>'
        f'<saml:Conditions NotBefore="{start}" NotOnOrAfter="{end}"><saml:AudienceRestriction>'
        f"<saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction><saml:OneTimeUse/></saml:Conditions>"
        f'<saml:AuthnStatement AuthnInstant="{start}"><saml:AuthnContext><saml:AuthnContextClassRef>{_AUTHENTICATED}'
        "</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
        f"<saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion>"
    )
    signed = signed_by(element, keys.signs_now(), position=1)
    return f'<wsse:Security xmlns:wsse="{WSSE}" s:mustUnderstand="true">{signed}</wsse:Security>'


def _written(requester: Requester, receipts: Sequence[str]) -> Iterator[str]:
    home = str(requester.home)
    texts = {
        SUBJECT_ID: requester.name or requester.subject,
        ORGANIZATION: requester.organization or home,
        ORGANIZATION_ID: home,
        HOME_COMMUNITY: home,
        REASON: requester.reason,
    }
    yield from (_attribute(name, [escape(value)]) for name, value in texts.items() if value)
    yield _attribute(ROLE, [_ce("Role", requester.role.value, ROLE_SYSTEM)])
    yield _attribute(PURPOSE, [_ce("PurposeOfUse", requester.purpose.value, scheme_of(ACT_REASON))])
    if receipts:
        yield _attribute(RECEIPT, receipts)


def _attribute(name: str, values: Iterable[str]) -> str:
    listed = "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
    return f'<saml:Attribute Name="{name}">{listed}</saml:Attribute>'


def _ce(element: str, code: str, system: str) -> str:
    return f'<{element} xmlns="{HL7}" xmlns:xsi="{XSI}" xsi:type="CE" code="{code}" codeSystem="{system}"/>'
