"""Systems of this hospital: a signed assertion in, a short token out, and no more rights than were given."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from adapters.trust import smart
from adapters.trust.errors import OAuthError
from adapters.trust.jwk import public_jwk
from adapters.trust.jwt_door import encode
from adapters.trust.scopes import granted, narrowed
from adapters.trust.smart import RegisteredClient
from consent.errors import TokenRefused
from consent.requesters import PurposeOfUse, Role

BASE = "https://house.bach-mai.example:8443"
TOKEN_URL = BASE + "/oauth/token"
RSA, EC384 = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())


@pytest.fixture(params=["RS384", "ES384"])
def signer(request):
    key = {"RS384": RSA, "ES384": EC384}[request.param]
    return request.param, key, public_jwk(key.public_key())["kid"]


@pytest.fixture
def client():
    return RegisteredClient(
        "his",
        "HIS Bạch Mai",
        tuple(public_jwk(key.public_key()) for key in (RSA, EC384)),
        granted("system/*.rs system/DocumentReference.cruds"),
        frozenset({PurposeOfUse.TREAT, PurposeOfUse.ETREAT}),
    )


@pytest.fixture
def assertion(signer, now):
    def assertion(**changed):
        algorithm, key, kid = signer
        claims = {"iss": "his", "sub": "his", "aud": TOKEN_URL, "exp": int(now.timestamp()) + 300, "jti": "j1"}
        claims = {name: value for name, value in (claims | changed).items() if value is not ...}
        return encode(claims, key, kid=kid, typ="JWT", algorithm=algorithm)

    return assertion


@pytest.fixture
def read(client, now):
    def read(assertion):
        known = {client.client_id: client}
        return smart.read_assertion(assertion, client_of=known.get, token_url=TOKEN_URL, now=now)

    return read


def iua(**claims):
    return {"extensions": {"ihe_iua": claims}}


def test_a_registered_system_gets_a_token_that_the_house_door_accepts(read, assertion, client, bach_mai, now):
    asked = read(assertion()).requester(home=bach_mai.home, organization="Bạch Mai")
    issued = smart.issue_access_token(
        bach_mai.keys, asked, scope="system/DocumentReference.rs", allowed=client.scopes, base=BASE, now=now
    )
    assert issued.answer() | {"access_token": ...} == {
        "access_token": ...,
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "system/DocumentReference.rs",
    }
    keys = bach_mai.jwks(bach_mai.home)
    found = smart.read_access_token(issued.token, keys=keys, base=BASE, home=bach_mai.home, now=now)
    assert (found.requester.subject, found.requester.role, found.requester.purpose) == ("his", Role.SYSTEM, "TREAT")
    assert found.requester.client_id == "his"
    assert found.scopes.allow("DocumentReference", "search-type")
    assert not found.scopes.allow("Patient", "read")
    for changed in ({"base": "https://other.example"}, {"now": now + timedelta(minutes=6)}, {"keys": ()}):
        known = {"keys": keys, "base": BASE, "home": bach_mai.home, "now": now}
        with pytest.raises(TokenRefused):
            smart.read_access_token(issued.token, **(known | changed))


def test_a_token_that_was_read_before_is_still_refused_after_its_time_and_under_other_keys(
    read, assertion, client, bach_mai, now
):
    asked = read(assertion()).requester(home=bach_mai.home, organization="Bạch Mai")
    one, other = (
        smart.issue_access_token(
            bach_mai.keys, asked, scope="system/Patient.r", allowed=client.scopes, base=BASE, now=now
        ).token
        for _ in range(2)
    )
    tokens = smart.AccessTokens(most=1)
    usual = {"keys": bach_mai.jwks(bach_mai.home), "base": BASE, "home": bach_mai.home, "now": now}
    first = tokens.read(one, **usual)
    assert tokens.read(one, **usual) is first
    for changed in ({"base": "https://other.example"}, {"now": now + timedelta(minutes=6)}, {"keys": ()}):
        with pytest.raises(TokenRefused):
            tokens.read(one, **(usual | changed))
    head, payload, signature = one.split(".")
    with pytest.raises(TokenRefused):
        tokens.read(f"{head}.{payload}.{signature[::-1]}", **usual)
    assert tokens.read(other, **usual).requester.token_id != first.requester.token_id
    again = tokens.read(one, **usual)
    assert again is not first and again == first


def test_the_doctor_behind_a_system_is_named(read, assertion, bach_mai):
    behind = iua(
        subject_id="bs.hoa",
        subject_name="Trần Thị Hoà",
        subject_role=[{"system": "http://snomed.info/sct", "code": "158965000"}],
        purpose_of_use=[{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "ETREAT"}],
        reason="hôn mê",
    )
    found = read(assertion(**behind)).requester(home=bach_mai.home, organization="Bạch Mai")
    assert (found.subject, found.name, found.role) == ("bs.hoa", "Trần Thị Hoà", Role.DOCTOR)
    assert (found.purpose, found.reason) == (PurposeOfUse.ETREAT, "hôn mê")


@pytest.mark.parametrize(
    ("behind", "error"),
    [
        (iua(purpose_of_use=[{"code": "HRESCH"}]), "unauthorized_client"),
        (iua(subject_role=[{"code": "administrator"}]), "unauthorized_client"),
        (iua(purpose_of_use=[{"code": "TREAT"}, {"code": "ETREAT"}]), "invalid_request"),
        (iua(purpose_of_use=[{"code": "FUN"}]), "invalid_request"),
        (iua(subject_role="wizard"), "invalid_request"),
        (iua(subject_name=7), "invalid_request"),
        ({"extensions": "x"}, "invalid_request"),
    ],
)
def test_a_purpose_or_role_that_a_system_may_not_use_is_refused_not_replaced(read, assertion, behind, error):
    with pytest.raises(OAuthError) as caught:
        read(assertion(**behind))
    assert (caught.value.error, caught.value.status) == (error, 400)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "other"},
        {"sub": "other"},
        {"aud": BASE},
        {"aud": [TOKEN_URL, BASE]},
        {"exp": ...},
        {"exp": 1},
        {"exp": 2_000_000_000},
        {"jti": ...},
        {"jti": ""},
        {"iat": 2_000_000_000},
    ],
)
def test_an_assertion_that_does_not_hold_is_an_invalid_client(read, assertion, changed):
    with pytest.raises(OAuthError) as caught:
        read(assertion(**changed))
    assert (caught.value.error, caught.value.status) == ("invalid_client", 401)


def test_an_access_token_is_not_an_assertion(read, bach_mai, client, now):
    with pytest.raises(OAuthError, match="invalid_client"):
        read(bach_mai.keys.sign({"iss": "his"}, "at+jwt"))


def test_nothing_allowed_is_an_invalid_scope(read, assertion, client, bach_mai, now):
    asked = read(assertion()).requester(home=bach_mai.home, organization="")
    for scope in ("", "system/Patient.d", "patient/*.rs", "openid"):
        with pytest.raises(OAuthError, match="invalid_scope"):
            smart.issue_access_token(bach_mai.keys, asked, scope=scope, allowed=client.scopes, base=BASE, now=now)


@pytest.mark.parametrize(
    ("scope", "allowed", "refused"),
    [
        ("system/DocumentReference.rs", ["read", "search", "vread"], ["create", "update", "delete", "operation"]),
        ("system/DocumentReference.read", ["read", "search-type"], ["create"]),
        ("system/DocumentReference.write", ["create", "update", "patch", "delete"], ["read"]),
        ("system/*.*", ["create", "read", "delete", "search"], ["", "READ"]),
        ("system/DocumentReference.sr", [], ["read", "search"]),
        ("system/DocumentReference.rs?status=current", [], ["read"]),
        ("system/Patient.rs", [], ["read"]),
        ("user/DocumentReference.rs patient/*.rs", [], ["read"]),
        ("system/DocumentReference. system/.rs system/*", [], ["read"]),
    ],
)
def test_a_scope_allows_what_its_standard_says(scope, allowed, refused):
    scopes = granted(scope)
    assert all(scopes.allow("DocumentReference", interaction) for interaction in allowed)
    assert not any(scopes.allow("DocumentReference", interaction) for interaction in refused)


def test_a_system_gets_the_part_of_its_wish_that_it_may_have():
    may = granted("system/*.rs system/Patient.cu")
    assert narrowed("system/*.read launch", may) == "system/*.read"
    assert narrowed("system/Patient.cruds", may) == "system/Patient.crus"
    assert narrowed("system/*.cruds", may) == "system/*.rs system/Patient.cu"
    assert narrowed("system/Observation.write", may) == ""
    assert str(may) == "system/*.rs system/Patient.cu"


def test_the_metadata_leads_to_the_doors():
    found = smart.smart_configuration(BASE, scopes=["system/*.rs"])
    assert found["token_endpoint"] == TOKEN_URL
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert smart.authorization_server(BASE, scopes=[])["access_token_format"] == "ihe-jwt"
