"""A node's keys: private, rotated without an outage, refused when others can read them."""

from __future__ import annotations

import stat
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from adapters.trust.errors import KeyUnusable
from adapters.trust.jwk import public_jwk, read_jwk, thumbprint
from adapters.trust.jwt_door import Rules, decode
from adapters.trust.keys import SigningKeys, create_key_encryption_key, key_encryption_key
from consent.errors import TokenRefused

RULES = Rules(frozenset({"test"}), frozenset({"iss"}))


def verifies(jws, jwks):
    return decode(jws, lambda issuer: jwks["keys"], RULES, now=None)


def test_a_peer_that_read_our_keys_before_a_rotation_verifies_what_we_sign_after_it(tmp_path, now):
    keys = SigningKeys.create(tmp_path)
    seen, kid = keys.jwks(now=now), keys.kid
    assert keys.rotate(now=now) != kid
    assert verifies(keys.sign({"iss": "us"}, "test"), seen) == {"iss": "us"}


def test_the_old_key_stays_published_for_thirty_days(tmp_path, now):
    keys = SigningKeys.create(tmp_path)
    signed = keys.sign({"iss": "us"}, "test")
    keys.rotate(now=now)
    verifies(signed, keys.jwks(now=now + timedelta(days=29)))
    with pytest.raises(TokenRefused):
        verifies(signed, keys.jwks(now=now + timedelta(days=31)))
    verifies(signed, {"keys": keys.ever()})


def test_another_process_follows_a_rotation_without_a_restart(tmp_path, now):
    worker, administrator = SigningKeys.create(tmp_path), SigningKeys.load(tmp_path)
    kid = administrator.rotate(now=now)
    assert worker.kid == kid


def test_a_rotation_that_was_killed_leaves_keys_that_work(tmp_path, now):
    keys = SigningKeys.create(tmp_path)
    seen = keys.jwks(now=now)
    (tmp_path / "signing-next.pem").replace(tmp_path / "signing-current.pem")
    again = SigningKeys.load(tmp_path)
    verifies(again.sign({"iss": "us"}, "test"), seen)
    (tmp_path / "signing-next.pem").write_bytes(b"")
    with pytest.raises(KeyUnusable):
        SigningKeys.load(tmp_path)


def test_key_files_are_private_and_never_overwritten(tmp_path):
    SigningKeys.create(tmp_path)
    create_key_encryption_key(tmp_path)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(KeyUnusable):
        SigningKeys.create(tmp_path)
    with pytest.raises(KeyUnusable):
        create_key_encryption_key(tmp_path)


def test_a_key_that_others_can_read_is_refused_outside_the_lab(tmp_path):
    key = create_key_encryption_key(tmp_path)
    SigningKeys.create(tmp_path)
    for path in tmp_path.iterdir():
        path.chmod(0o644)
    with pytest.raises(KeyUnusable, match="readable by others"):
        key_encryption_key(tmp_path)
    with pytest.raises(KeyUnusable, match="readable by others"):
        SigningKeys.load(tmp_path)
    assert key_encryption_key(tmp_path, lab=True) == key
    SigningKeys.load(tmp_path, lab=True)


def test_a_missing_key_says_what_to_do(tmp_path):
    with pytest.raises(KeyUnusable, match="hie init"):
        key_encryption_key(tmp_path)


def test_the_thumbprint_is_the_one_of_its_standard():
    # RFC 7638 section 3.1
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
        "nqDKgw"
    )
    assert thumbprint({"kty": "RSA", "n": modulus, "e": "AQAB"}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def _weak():
    good = public_jwk(ec.generate_private_key(ec.SECP256R1()).public_key())
    numbers = rsa.generate_private_key(65537, 1024).public_key()
    return {
        "short RSA": public_jwk(numbers),
        "private": good | {"d": "AAAA"},
        "for encryption": good | {"use": "enc"},
        "other algorithm": good | {"alg": "ES384"},
        "other curve": good | {"crv": "P-384"},
        "off the curve": good | {"x": good["y"]},
        "short coordinate": good | {"x": good["x"][:-2]},
        "no coordinate": {name: value for name, value in good.items() if name != "y"},
        "secret": {"kty": "oct", "k": "AAAA"},
        "number": good | {"x": 7},
    }


@pytest.mark.parametrize("kind", sorted(_weak()))
def test_a_weak_or_foreign_key_is_refused(kind):
    with pytest.raises(TokenRefused):
        read_jwk(_weak()[kind])
