"""The token of a question between nodes: who may be believed, and every way to cheat that must fail."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta

import pytest

from adapters.trust import certificates
from adapters.trust.jwt_door import encode
from adapters.trust.keys import make_signing_key
from adapters.trust.peer_tokens import TYPE, body_hash, make_peer_token, read_peer_token, receipt_hash
from consent.errors import TokenRefused
from consent.requesters import PurposeOfUse, Requester, Role

BODY = b"patient.identifier=x"
PATH = "/fhir/DocumentReference/_search"


def doctor(home, **changed):
    known = {"subject": "bs.hoa", "role": Role.DOCTOR, "home": home, "name": "Trần Thị Hoà", "organization": "Bạch Mai"}
    return Requester(**(known | changed))


@pytest.fixture
def token(bach_mai, bac_ninh, now):
    return make_peer_token(
        bach_mai.keys,
        doctor(bach_mai.home, purpose=PurposeOfUse.ETREAT, reason="hôn mê, không người nhà"),
        audience=bac_ninh.home,
        method="POST",
        path=PATH,
        body=BODY,
        certificate_thumbprint=certificates.thumbprint(bach_mai.der),
        receipts=[receipt_hash("a.b.c")],
        now=now,
    )


@pytest.fixture
def read(bach_mai, bac_ninh, now):
    def read(token, **changed):
        known = {
            "keys_of": bach_mai.jwks,
            "home": bac_ninh.home,
            "method": "POST",
            "path": PATH,
            "body_hash": body_hash(BODY),
            "certificate_der": bach_mai.der,
            "now": now,
        }
        return read_peer_token(token, **(known | changed))

    return read


def refused(read, token, **changed):
    with pytest.raises(TokenRefused) as caught:
        read(token, **changed)
    return caught.value.reason


def opened(token):
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def segment(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def resigned(bach_mai, token, claims=(), header=()):
    """The same token with other claims or header names, properly signed by the hospital itself."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    old_header, old_claims = opened(token)
    new_claims = {name: value for name, value in (old_claims | dict(claims)).items() if value is not ...}
    new_header = {name: value for name, value in (old_header | dict(header)).items() if value is not ...}
    signed = f"{segment(new_header)}.{segment(new_claims)}"
    der = bach_mai.keys._current.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
    return signed + "." + segment(b"".join(part.to_bytes(32, "big") for part in decode_dss_signature(der)))


def test_the_holder_learns_who_asks_and_why(read, token, bach_mai, now):
    found = read(token)
    assert found.requester == doctor(
        bach_mai.home, purpose=PurposeOfUse.ETREAT, reason="hôn mê, không người nhà", token_id=found.token_id
    )
    assert found.receipts == (hashlib.sha256(b"a.b.c").hexdigest(),)
    assert len(found.token_id) >= 22


def test_a_token_is_remembered_for_as_long_as_it_could_be_used_again(read, token, now):
    expires = read(token).expires
    read(token, now=expires - timedelta(seconds=1))
    assert refused(read, token, now=expires) == "expired"


def test_two_questions_never_share_a_token_id(bach_mai, bac_ninh, token, read, now):
    other = resigned(bach_mai, token, {"jti": "short"})
    assert refused(read, other) == "claim"


def test_a_clock_ten_seconds_off_is_no_reason_to_refuse(read, token, now):
    read(token, now=now - timedelta(seconds=9))
    assert refused(read, token, now=now - timedelta(seconds=12)) == "from-the-future"
    assert refused(read, token, now=now + timedelta(days=1)) == "expired"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"method": "GET"}, "other-method"),
        ({"path": "/fhir/Patient/_search"}, "other-path"),
        ({"body_hash": body_hash(b"somebody else")}, "other-body"),
        ({"keys_of": lambda home: []}, "unknown-key"),
        ({"certificate_der": b"nonsense"}, "certificate"),
    ],
)
def test_a_token_is_good_for_one_request_only(read, token, changed, reason):
    assert refused(read, token, **changed) == reason


def test_a_token_is_no_use_at_another_hospital(read, token, bach_mai):
    assert refused(read, token, home=bach_mai.home) == "audience"


def test_a_stolen_token_is_no_use_behind_another_certificate(read, token, authority, bach_mai, bac_ninh, now):
    assert refused(read, token, certificate_der=bac_ninh.der) == "unknown-key"
    renewed = certificates.renew(authority, bach_mai.credential.certificate, now=now)
    assert refused(read, token, certificate_der=certificates.to_der(renewed.certificate)) == "other-certificate"


def test_a_hospital_cannot_speak_for_another_one(read, token, bach_mai, bac_ninh):
    assert refused(read, resigned(bach_mai, token, {"iss": str(bac_ninh.home)})) == "unknown-key"
    behind = opened(token)[1]["extensions"]["ihe_iua"] | {"home_community_id": str(bac_ninh.home)}
    assert refused(read, resigned(bach_mai, token, {"extensions": {"ihe_iua": behind}})) == "issuer"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": 1_900_000_000}, "lifetime"),
        ({"exp": ...}, "missing-claim"),
        ({"exp": 253402300800}, "claim"),
        ({"exp": True}, "claim"),
        ({"exp": "1795420860"}, "claim"),
        ({"iat": ...}, "missing-claim"),
        ({"jti": ...}, "missing-claim"),
        ({"sub": ""}, "missing-claim"),
        ({"sub": "a\nb"}, "claim"),
        ({"cnf": ...}, "missing-claim"),
        ({"cnf": {}}, "other-certificate"),
        ({"aud": ["urn:oid:1.2.840.99999.2", "urn:oid:1.2.840.99999.3"]}, "audience"),
        ({"extensions": []}, "claim"),
        ({"extensions": {"ihe_iua": {}}}, "missing-claim"),
        ({"receipts": ["short"]}, "receipts"),
        ({"receipts": ["0" * 64] * 17}, "receipts"),
        ({"nbf": 4_000_000_000}, "from-the-future"),
    ],
)
def test_a_signed_token_without_the_proper_claims_is_refused(read, token, bach_mai, claims, reason):
    assert refused(read, resigned(bach_mai, token, claims)) == reason


def test_a_lifetime_of_a_minute_and_a_second_is_too_long(read, token, bach_mai):
    assert refused(read, resigned(bach_mai, token, {"exp": opened(token)[1]["iat"] + 61})) == "lifetime"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"crit": ["exp"]}, "header"),
        ({"jku": "https://example.org/keys"}, "header"),
        ({"x5u": "https://example.org/cert"}, "header"),
        ({"jwk": {}}, "header"),
        ({"x5c": []}, "header"),
        ({"b64": False}, "header"),
        ({"zip": "DEF"}, "header"),
        ({"kid": "another"}, "unknown-key"),
        ({"kid": ...}, "unknown-key"),
        ({"kid": 7}, "unknown-key"),
        ({"typ": "at+jwt"}, "type"),
        ({"typ": ...}, "type"),
        ({"alg": "none"}, "algorithm"),
        ({"alg": "ES384"}, "algorithm"),
        ({"alg": "RS256"}, "algorithm"),
        ({"alg": ["ES256"]}, "algorithm"),
    ],
)
def test_a_sender_cannot_choose_how_it_is_verified(read, token, bach_mai, header, reason):
    assert refused(read, resigned(bach_mai, token, header=header)) == reason


def test_an_unsigned_token_is_refused(read, token):
    header, payload, _ = token.split(".")
    assert refused(read, f"{header}.{payload}.") == "signature"
    unsigned = segment({"alg": "none", "kid": opened(token)[0]["kid"], "typ": TYPE})
    assert refused(read, f"{unsigned}.{payload}.") == "algorithm"


def test_a_public_key_is_never_taken_for_a_shared_secret(read, token, bach_mai):
    public = json.dumps(bach_mai.jwks(bach_mai.home)[0]).encode()
    signed = f"{segment(opened(token)[0] | {'alg': 'HS256'})}.{token.split('.')[1]}"
    forged = f"{signed}.{segment(hmac.digest(public, signed.encode(), 'sha256'))}"
    assert refused(read, forged) == "algorithm"


def test_a_forged_signature_is_refused(read, token):
    header, payload, _ = token.split(".")
    stranger = encode(opened(token)[1], make_signing_key().key, kid=opened(token)[0]["kid"], typ=TYPE)
    assert refused(read, stranger) == "signature"
    assert refused(read, f"{header}.{payload}.{segment(bytes(64))}") == "signature"
    assert refused(read, f"{header}.{payload}.{segment(b'')}") == "signature"


@pytest.mark.parametrize(
    ("mangle", "reason"),
    [
        (lambda token: "", "malformed"),
        (lambda token: token + ".x", "malformed"),
        (lambda token: token + "=", "malformed"),
        (lambda token: " " + token, "malformed"),
        (lambda token: token.replace(".", "..", 1), "malformed"),
        (lambda token: "[" * 3000, "malformed"),
        (lambda token: segment(b"[" * 4000) + ".e30.AA", "malformed"),
        (lambda token: segment(b"[]") + ".e30.AA", "not-an-object"),
        (lambda token: segment(b'{"alg":"ES256","alg":"none"}') + ".e30.AA", "duplicate-name"),
        (lambda token: segment(b'{"alg":NaN}') + ".e30.AA", "malformed"),
        (lambda token: segment(b"\xff") + ".e30.AA", "malformed"),
        (lambda token: "é" + token, "malformed"),
        (lambda token: token + "A" * 8192, "oversize"),
    ],
)
def test_a_mangled_token_is_refused_without_harm(read, token, mangle, reason):
    assert refused(read, mangle(token)) == reason


def test_a_refusal_repeats_nothing_of_the_token(read, token, bach_mai):
    with pytest.raises(TokenRefused) as caught:
        read(resigned(bach_mai, token, {"sub": "Trần Thị Hoà\n"}))
    assert "Hoà" not in str(caught.value)


def test_a_token_that_no_door_would_take_is_not_made(bach_mai, bac_ninh, now):
    with pytest.raises(TokenRefused):
        make_peer_token(
            bach_mai.keys,
            doctor(bach_mai.home, reason="x" * 9000),
            audience=bac_ninh.home,
            method="POST",
            path=PATH,
            body=BODY,
            certificate_thumbprint="x",
            now=now,
        )
