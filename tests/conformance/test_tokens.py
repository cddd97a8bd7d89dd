"""Tokens, keys and what is said of them, as libraries read them that are not ours: Authlib, joserfc and PyOTP."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastjsonschema
import pyotp
import pytest
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc import jwk, jwt
from prometheus_client.parser import text_string_to_metric_families

from adapters.store.people import Client
from adapters.trust import certificates
from consent.requesters import Role
from hie_node.one_time_codes import accepted_step, enrolment_link, grouped, new_secret, step_of
from tests.house.node import Node, made_node

SMART = fastjsonschema.compile(json.loads((Path(__file__).parent / "rules" / "smart_configuration.json").read_text()))
KEY = jwk.ECKey.generate_key("P-384", {"kid": "his-1", "use": "sig", "alg": "ES384"})
SCOPE = "system/Patient.rs system/DocumentReference.rs"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, lab_authority: certificates.Credential) -> Iterator[Node]:
    """A running node that knows one system by its key."""
    (folder := tmp_path_factory.mktemp("tokens") / "bac-ninh").mkdir()
    with made_node(folder.parent, f"sqlite:///{folder / 'node.db'}", lab_authority) as node:
        node.starts()
        house = node.house()
        with house.storage.begin() as unit:
            public = {"keys": [KEY.as_dict(private=False)]}
            unit.people_of_the_house.add_client(Client("his", public, ("system/*.cruds",), Role.SYSTEM))
        house.storage.close()
        yield node


def said(node: Node, path: str) -> Any:
    base, trust = node.settings.house.url, str(node.settings.tls / "federation-ca.crt")
    answer = requests.get(f"{base}{path}", verify=trust, timeout=30)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    return answer.json()


def session(node: Node, key: Any = KEY, scope: str = SCOPE) -> OAuth2Session:
    """A client of SMART Backend Services, as Authlib has it."""
    url = said(node, "/.well-known/smart-configuration")["token_endpoint"]
    made = OAuth2Session("his", key, token_endpoint_auth_method="private_key_jwt", scope=scope)
    claims = {"exp": int(time.time()) + 240}  # SMART allows five minutes, Authlib takes an hour unless it is told
    made.register_client_auth_method(PrivateKeyJWT(url, claims, {"kid": "his-1", "typ": "JWT"}, alg="ES384"))
    made.verify, made.trust_env = str(node.settings.tls / "federation-ca.crt"), False
    made.metadata["token_endpoint"] = url
    return made


@pytest.mark.parametrize("path", ["", "/fhir", "/network/fhir"])
def test_what_a_client_must_know(node: Node, path: str) -> None:
    SMART(said(node, f"{path}/.well-known/smart-configuration"))


def test_the_authorization_server_by_rfc_8414(node: Node) -> None:
    told = said(node, "/.well-known/oauth-authorization-server")
    AuthorizationServerMetadata(told).validate()
    assert told["issuer"] == node.settings.house.url


def test_a_foreign_client_gets_a_token_that_a_foreign_reader_verifies_and_the_node_takes(node: Node) -> None:
    client = session(node)
    got = client.fetch_token(grant_type="client_credentials")
    assert got["token_type"].lower() == "bearer" and set(got["scope"].split()) == set(SCOPE.split())
    keys = jwk.KeySet.import_key_set(said(node, "/.well-known/jwks.json"))
    read = jwt.decode(got["access_token"], keys, algorithms=["ES256", "ES384", "RS384", "EdDSA"])
    base = node.settings.house.url
    rules = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": base}, aud={"essential": True, "value": base}, exp={"essential": True},
        iat={"essential": True}, jti={"essential": True}, sub={"essential": True}, client_id={"value": "his"},
    )  # fmt: skip
    rules.validate(read.claims)
    assert read.claims["exp"] - read.claims["iat"] == got["expires_in"]
    assert client.get(f"{base}/fhir/Patient?_summary=count").status_code == 200


def test_keys_say_what_they_are_for_and_hold_no_secret(node: Node) -> None:
    told = said(node, "/.well-known/jwks.json")
    for one in jwk.KeySet.import_key_set(told).keys:
        assert one.kid and not one.is_private and one.get("use") == "sig" and one.get("alg")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"grant_type": "authorization_code", "code": "x"}, "unsupported_grant_type"),
        ({"scope": "user/Patient.rs"}, "invalid_scope"),
        ({"key": jwk.ECKey.generate_key("P-384")}, "invalid_client"),
    ],
)
def test_a_foreign_client_understands_why_it_gets_none(node: Node, changed: dict[str, Any], error: str) -> None:
    asked = {"grant_type": "client_credentials", **changed}
    client = session(node, asked.pop("key", KEY), asked.pop("scope", SCOPE))
    with pytest.raises(OAuthError) as found:
        client.fetch_token(**asked)
    assert found.value.error == error


def test_the_rules_of_smart_see_what_is_wrong(node: Node) -> None:
    good = said(node, "/.well-known/smart-configuration")
    for name, value in (
        ("issuer", "https://x.example"),
        ("code_challenge_methods_supported", ["S256", "plain"]),
        ("grant_types_supported", ["password"]),
        ("capabilities", [*good["capabilities"], "launch-ehr"]),
        ("token_endpoint", "http://x.example"),
        ("token_endpoint_auth_methods_supported", ["client_secret_basic"]),
    ):
        with pytest.raises(fastjsonschema.JsonSchemaValueException):
            SMART(copy.deepcopy(good) | {name: value})


def test_what_a_phone_reads_gives_the_codes_that_the_node_takes() -> None:
    secret, now = new_secret(), datetime.now(UTC)
    hospital = "Bệnh viện đa khoa: Bắc Ninh & Đáp Cầu"
    phone = pyotp.parse_uri(enrolment_link(secret, username="bs.minh", hospital=hospital))
    assert isinstance(phone, pyotp.TOTP)
    assert (phone.name, phone.issuer, phone.secret) == ("bs.minh", hospital, secret)
    assert pyotp.TOTP(grouped(secret).replace(" ", "")).at(now) == phone.at(now), "typed by hand"
    assert accepted_step(secret, phone.at(now), last=0, now=now) == step_of(now)


def test_metrics_are_read_as_prometheus_reads_them(node: Node) -> None:
    host, port = node.settings.ops.host, node.settings.ops.port
    answer = requests.get(f"http://{host}:{port}/metrics", timeout=30)
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.status_code == 200
    found = {one.name: one for one in text_string_to_metric_families(answer.text)}
    assert {"hie_requests", "hie_request_seconds"} <= set(found)
    assert all(one.documentation and one.type in ("counter", "gauge", "histogram") for one in found.values())
