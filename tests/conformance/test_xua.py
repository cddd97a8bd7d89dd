"""Who asks over SOAP is established by an assertion that holds in every respect, or not at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from adapters.store.people import Client as RegisteredClient
from adapters.trust.jwk import public_jwk
from consent.requesters import PurposeOfUse, Role
from tests.conformance.saml import DS, SAML, XSPA, Statement, header, signed
from tests.conformance.soap import ITI, Document, SoapAnswer, SoapClient, Submission, envelope, query, read_answer
from tests.stand_in_edge import ask

KEY, OTHER_KEY = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)
QUESTION = query("GetDocuments", ("$XDSDocumentEntryUniqueId", "('2.25.1')"))
ACTION = f"{ITI}RegistryStoredQuery"


@pytest.fixture(scope="module")
def his(soap: SoapClient) -> SoapClient:
    """The hospital's systems `his` (EC) and `ris` (RSA) are admitted, `his` for care and to read only."""
    with soap.hospital.house.storage.begin() as unit:
        for name, key in (("his", KEY), ("ris", RSA_KEY)):
            keys = {"keys": [public_jwk(key.public_key())]}
            scopes = ("system/DocumentReference.rs",)
            unit.people_of_the_house.add_client(
                RegisteredClient(name, keys, scopes, Role.SYSTEM, (PurposeOfUse.TREAT,), name), replace=True
            )
    return soap


def statement(his: SoapClient, **changes: Any) -> Statement:
    house = his.hospital.house
    said = Statement("his", house.settings.house.url, house.now())
    return replace(said, **changes)


def sent(
    his: SoapClient, security: str, *, path: str = "/xds/registry", action: str = ACTION, body: str = ""
) -> SoapAnswer:
    """A message without any token."""
    message = envelope(action, body or QUESTION, header=security)
    reply = ask(
        his.hospital.application, "house", "POST", path, headers={"Content-Type": "application/soap+xml"}, body=message
    )
    return read_answer(reply.status, reply.headers, reply.body)


REFUSED = (401, ("s:Sender", "wsse:FailedAuthentication"))


@pytest.mark.parametrize("issuer", ["his", "ris"])
def test_a_system_vouches_for_its_doctor_and_the_record_names_the_doctor(his: SoapClient, issuer: str) -> None:
    said = statement(his, issuer=issuer)
    assert sent(his, header(signed(said.xml(), KEY if issuer == "his" else RSA_KEY))).outcome == "Success"
    row = his.hospital.record[-1]
    asker = row.requester
    assert (asker.subject, asker.name, asker.role) == ("bs.lan", "BS. Trần Thị Lan", Role.DOCTOR)
    assert (asker.client_id, asker.purpose, asker.home) == (issuer, PurposeOfUse.TREAT, his.hospital.home)


def test_layout_and_place_of_declarations_do_not_matter(his: SoapClient) -> None:
    text = statement(his).xml().replace("<saml:Subject>", "\n  <saml:Subject>")
    assert sent(his, header(signed(text, KEY))).outcome == "Success"


CHANGES: dict[str, dict[str, Any]] = {
    "nobody's issuer": {"issuer": "somebody"},
    "another system's name": {"issuer": "ris"},
    "for another audience": {"audience": "https://elsewhere"},
    "ended": {"start": timedelta(minutes=-30)},
    "not yet begun": {"start": timedelta(minutes=10)},
    "for a day": {"life": timedelta(days=1)},
    "holder of some key": {"confirmation": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"},
    "SAML 1": {"version": "1.1"},
    "without a subject": {"subject": ""},
    "a role that means nothing": {"role": ("king", "2.16.840.1.113883.6.96")},
    "a role it may not use": {"role": ("administrator", "urn:hie-node:role")},
    "a purpose that means nothing": {"purpose": ("FUN", "2.16.840.1.113883.5.8")},
    "a purpose it may not use": {"purpose": ("HRESCH", "2.16.840.1.113883.5.8")},
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_assertion_that_says_something_wrong_is_refused(his: SoapClient, name: str) -> None:
    answer = sent(his, header(signed(statement(his, **CHANGES[name]).xml(), KEY)))
    assert (answer.status, answer.fault) == REFUSED


def test_the_clock_of_the_issuer_may_be_a_minute_off(his: SoapClient) -> None:
    for start in (timedelta(seconds=50), timedelta(minutes=-5, seconds=-50)):
        assert sent(his, header(signed(statement(his, start=start).xml(), KEY))).outcome == "Success"


def test_an_assertion_for_one_use_is_good_once(his: SoapClient) -> None:
    once = header(signed(statement(his, one_use=True, id="_once").xml(), KEY, reference="_once"))
    assert sent(his, once).outcome == "Success"
    again = sent(his, once)
    assert (again.status, again.fault) == REFUSED
    often = header(signed(statement(his, id="_often").xml(), KEY, reference="_often"))
    assert [sent(his, often).outcome for _ in range(2)] == ["Success", "Success"]


def test_the_scopes_of_the_system_bound_what_its_users_may_do(his: SoapClient) -> None:
    body = '<x:ProvideAndRegisterDocumentSetRequest xmlns:x="urn:ihe:iti:xds-b:2007">'
    body += f"{Submission('A1', [Document('A1')]).xml(his)}</x:ProvideAndRegisterDocumentSetRequest>"
    security = header(signed(statement(his).xml(), KEY))
    answer = sent(his, security, path="/xds/repository", action=f"{ITI}ProvideAndRegisterDocumentSet-b", body=body)
    assert answer.status == 403


def test_a_token_that_does_not_hold_is_not_mended_by_an_assertion(his: SoapClient) -> None:
    message = envelope(ACTION, QUESTION, header=header(signed(statement(his).xml(), KEY)))
    answer = his.sends("/xds/registry", "application/soap+xml", message, Authorization="Bearer nonsense")
    assert answer.status == 401


# ---- signatures ----


def evil(his: SoapClient) -> str:
    """What an attacker would like to be read: the same assertion for somebody with another name and another id."""
    return statement(his, id="_evil", subject="bs.evil").xml()


def wrapped(his: SoapClient) -> dict[str, str]:
    good = signed(statement(his).xml(), KEY)
    bad, more = evil(his), f'<saml:Attribute Name="{XSPA}x"/>'
    signature = good[good.index("<ds:Signature") : good.index("</ds:Signature>") + len("</ds:Signature>")]
    moved = bad.replace("</saml:Issuer>", f"</saml:Issuer>{signature}", 1)
    inside = bad.replace("</saml:Assertion>", f"<saml:Advice>{good}</saml:Advice></saml:Assertion>")
    return {
        "unsigned": statement(his).xml(),
        "no assertion": "",
        "by another key": signed(statement(his).xml(), OTHER_KEY),
        "changed after signing": good.replace("bs.lan", "bs.evil"),
        "attribute added": good.replace("<saml:AttributeStatement>", f"<saml:AttributeStatement>{more}"),
        "signature of another": moved,
        "another beside it": bad + good,
        "another behind it": good + bad,
        "the signed one inside": inside,
        "inside, with the signature outside": inside.replace(signature, "").replace(
            "</saml:Issuer>", f"</saml:Issuer>{signature}", 1
        ),
        "the signed one in an Object": bad.replace(
            "</saml:Issuer>",
            "</saml:Issuer>" + signature.replace("</ds:Signature>", f"<ds:Object>{good}</ds:Object></ds:Signature>"),
            1,
        ),
        "two with one id": good + statement(his, subject="bs.evil").xml(),
        "reference to everything": signed(statement(his).xml(), KEY, reference="").replace('URI="#"', 'URI=""'),
        "reference to another": signed(statement(his).xml(), KEY, reference="_other"),
        "two signatures": good.replace(signature, signature * 2),
        "digest of nothing": signed(statement(his).xml(), KEY, digest="47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        "SHA-1": signed(statement(his).xml(), KEY, algorithm=f"{DS}rsa-sha1"),
        "HMAC": signed(statement(his).xml(), KEY, algorithm=f"{DS}hmac-sha1"),
        "a stylesheet as transform": good.replace(
            "http://www.w3.org/2001/10/xml-exc-c14n#", "http://www.w3.org/TR/1999/REC-xslt-19991116"
        ),
        "a comment in the name": good.replace("bs.lan", "bs<!-- -->.evil"),
    }


def test_nothing_that_was_not_signed_is_ever_read(his: SoapClient) -> None:
    before = len(his.hospital.record)
    for name, assertion in wrapped(his).items():
        answer = sent(his, header(assertion))
        assert (name, answer.status, answer.fault) == (name, *REFUSED)
    assert len(his.hospital.record) == before


def test_comments_that_a_signature_does_not_cover_do_not_cut_a_name(his: SoapClient) -> None:
    text = signed(statement(his, subject="bs.lan.evil").xml(), KEY).replace("bs.lan.evil", "bs.lan<!-- x -->.evil")
    assert sent(his, header(text)).outcome == "Success"
    assert his.hospital.record[-1].requester.subject == "bs.lan.evil"


def test_a_signed_assertion_somewhere_else_in_the_message_counts_for_nothing(his: SoapClient) -> None:
    good = signed(statement(his).xml(), KEY)
    elsewhere = f'<t:Other xmlns:t="urn:other" xmlns:saml="{SAML}">{good}</t:Other>'
    for security in (elsewhere, header() + elsewhere, header(header(good))):
        answer = sent(his, security)
        assert (answer.status, answer.fault) == REFUSED
