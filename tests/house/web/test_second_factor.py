"""Second factors, the hospital's own sign-in, and proofs that have to be fresh."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.trust.certificates import Credential
from consent.requesters import Role
from hie_node import one_time_codes
from hie_node.setting_tables import SignIn, UnsafeSettings
from hie_node.web import provider as provider_pages
from tests.house.web.browser import PASSWORD, STAFF, Browser, Seen
from tests.house.web.provider import CLIENT, SECRET, OpenIdProvider
from tests.lab import Hospital

NAME = STAFF[Role.DOCTOR][0]


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signing_in(hospital: Hospital, **how: Any) -> Hospital:
    """The same hospital with another [sign_in]."""
    hospital.house = replace(hospital.house, settings=replace(hospital.house.settings, sign_in=SignIn(**how)))
    hospital.opens_anew()
    return hospital


@pytest.fixture
def strict(bach_mai: Hospital) -> Hospital:
    return signing_in(bach_mai, second_factor="demanded")


def enrols(browser: Browser, hospital: Hospital) -> tuple[str, Seen]:
    """The first sign-in, with the phone at hand; gives the secret."""
    page = browser.signs_in()
    shown = re.search(r"<code>([A-Z2-7 ]+)</code>", page.html)
    assert shown is not None and "<svg" in page.html
    secret = shown[1].replace(" ", "")
    return secret, browser.fills(page, "/login/enrol", code=code(secret, hospital))


def code(secret: str, hospital: Hospital, *, ago: int = 0) -> str:
    return one_time_codes.code_at(secret, one_time_codes.step_of(hospital.house.now()) - ago)


@pytest.mark.parametrize(
    ("moment", "digits"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_standard(moment: int, digits: str) -> None:
    """RFC 6238, appendix B, the last six digits."""
    secret = base64.b32encode(b"12345678901234567890").decode()
    step = one_time_codes.step_of(datetime.fromtimestamp(moment, UTC))
    assert one_time_codes.code_at(secret, step) == digits


def test_outside_the_lab_a_password_alone_opens_nothing(browser: Browser, strict: Hospital) -> None:
    page = browser.signs_in()
    assert "Đặt mã xác thực" in page.text
    assert browser.sends("GET", "/patients").status == 303


def test_after_the_first_code_every_sign_in_asks_for_one(browser: Browser, strict: Hospital) -> None:
    secret, first = enrols(browser, strict)
    assert first.address == "/patients"
    again = Browser(strict)
    page = again.signs_in()
    assert "Mã 6 số" in page.text
    strict.lab.clock.moves(by=timedelta(seconds=30))
    assert again.fills(page, "/login/second", code=code(secret, strict)).address == "/patients"


def test_a_code_is_good_once_and_an_old_one_never(browser: Browser, strict: Hospital) -> None:
    secret, _ = enrols(browser, strict)
    other = Browser(strict)
    page = other.signs_in()
    assert other.fills(page, "/login/second", code=code(secret, strict)).status == 403, "the one of the enrolment"
    strict.lab.clock.moves(by=timedelta(minutes=2))
    assert other.fills(page, "/login/second", code=code(secret, strict, ago=3)).status == 403
    assert other.fills(page, "/login/second", code=code(secret, strict)).address == "/patients"


def test_after_ten_wrong_codes_the_second_step_waits_too(browser: Browser, strict: Hospital) -> None:
    secret, _ = enrols(browser, strict)
    other = Browser(strict)
    page = other.signs_in()
    assert [other.submits(page, "/login/second", code="000000").status for _ in range(10)] == [403] * 10
    assert other.submits(page, "/login/second", code=code(secret, strict)).status == 429


def test_the_note_between_the_steps_is_for_one_browser_and_a_few_minutes(browser: Browser, strict: Hospital) -> None:
    secret, _ = enrols(browser, strict)
    strict.lab.clock.moves(by=timedelta(minutes=1))
    mine, thief = Browser(strict), Browser(strict)
    note = dict(mine.signs_in().form("/login/second").fields)["note"]
    stolen = thief.opens("/").form("/login")
    data = {"token": dict(stolen.fields)["token"], "note": note, "code": code(secret, strict)}
    assert thief.sends("POST", "/login/second", data=data).response.headers["Location"].startswith("/login")
    strict.lab.clock.moves(by=timedelta(minutes=6))
    late = {**data, "token": dict(mine.opens("/").form("/login").fields)["token"], "code": code(secret, strict)}
    assert mine.sends("POST", "/login/second", data=late).response.headers["Location"].startswith("/login")


def test_nobody_sets_a_second_factor_over_one_that_is_there(browser: Browser, strict: Hospital) -> None:
    other = Browser(strict)
    page = other.signs_in()
    secret, _ = enrols(browser, strict)
    shown = re.search(r"<code>([A-Z2-7 ]+)</code>", page.html)
    assert shown is not None
    taken = shown[1].replace(" ", "")
    answer = other.submits(page, "/login/enrol", code=code(taken, strict))
    assert answer.status == 303 and answer.response.headers["Location"].startswith("/login")
    strict.lab.clock.moves(by=timedelta(seconds=30))
    assert Browser(strict).signs_in().form("/login/second") and code(secret, strict)


def test_a_copy_of_the_database_makes_no_codes(browser: Browser, strict: Hospital) -> None:
    secret, _ = enrols(browser, strict)
    assert secret.encode() not in b"".join(f.read_bytes() for f in strict.house.settings.home.glob("node.db*"))


def test_what_wants_a_fresh_proof_asks_for_it_and_then_works(browser: Browser, bach_mai: Hospital) -> None:
    browser.signs_in()
    bach_mai.lab.clock.moves(by=timedelta(minutes=6))
    page = browser.opens("/account")
    asked = browser.fills(page, "/account/code")
    assert "Xác nhận lại danh tính" in asked.text
    assert browser.fills(asked, "/prove", password="sai").status == 422
    back = browser.fills(asked, "/prove", password=PASSWORD)
    assert back.address == "/account"
    assert "Quét mã" in browser.fills(back, "/account/code").text


def test_signing_out_everywhere_else_ends_the_other_sessions_at_once(browser: Browser, bach_mai: Hospital) -> None:
    other = Browser(bach_mai)
    other.signs_in()
    browser.signs_in()
    browser.fills(browser.opens("/account"), "/account/sessions")
    assert other.sends("GET", "/patients").status == 303
    assert browser.sends("GET", "/patients").status == 200


def test_the_second_factor_is_off_outside_the_lab_only_where_it_is_named_so() -> None:
    assert SignIn().demands_second_factor(lab=False) and not SignIn().demands_second_factor(lab=True)
    assert not SignIn(second_factor="not-demanded").demands_second_factor(lab=False)
    for wrong in (
        SignIn(second_factor="off"),
        SignIn(provider="http://idp.example", client_id="x", roles={"a": "doctor"}),
        SignIn(provider="https://idp.example", client_id="x"),
        SignIn(provider="https://idp.example", client_id="x", roles={"a": "system"}),
        SignIn(local_accounts=False),
    ):
        with pytest.raises(UnsafeSettings):
            wrong.check()


# --- passkeys: a device in software


class Device:
    """A key in a device, as a browser speaks of it."""

    def __init__(self, origin: str) -> None:
        self.key, self.id, self.count, self.origin = ec.generate_private_key(ec.SECP256R1()), b"device-1" * 4, 0, origin

    def _data(self, flags: int) -> bytes:
        self.count += 1
        return hashlib.sha256(b"127.0.0.1").digest() + bytes([flags]) + struct.pack(">I", self.count)

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def makes(self, options: dict[str, Any]) -> str:
        import cbor2

        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + struct.pack(">H", len(self.id)) + self.id + cbor2.dumps(cose)
        made = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": self._data(0x45) + attested})
        client = self._client("webauthn.create", options["challenge"])
        return self._told(clientDataJSON=b64(client), attestationObject=b64(made))

    def shows(self, options: dict[str, Any]) -> str:
        client, data = self._client("webauthn.get", options["challenge"]), self._data(0x05)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._told(clientDataJSON=b64(client), authenticatorData=b64(data), signature=b64(signature))

    def _told(self, **response: str) -> str:
        return json.dumps({"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "response": response})


def asks(browser: Browser, page: Seen, path: str, form: str) -> dict[str, Any]:
    fields = dict(page.form(form).fields)
    return dict(json.loads(browser.sends("POST", path, data=fields).response.get_data()))


def test_a_passkey_is_made_shown_and_good_once(browser: Browser, bach_mai: Hospital) -> None:
    device = Device(bach_mai.house.settings.house.url)
    browser.signs_in()
    page = browser.opens("/account")
    question = asks(browser, page, "/account/passkeys/ask", "/account/passkeys")
    made = device.makes(question["options"])
    assert (
        "máy bàn" in browser.fills(page, "/account/passkeys", answer=made, asked=question["asked"], name="máy bàn").text
    )

    again = Browser(bach_mai)
    second = again.signs_in()
    question = asks(again, second, "/login/passkey/ask", "/login/passkey")
    shown = device.shows(question["options"])
    wrong = json.dumps({**json.loads(shown), "id": b64(b"other")})
    assert again.submits(second, "/login/passkey", answer=wrong, asked=question["asked"]).status == 403
    question = asks(again, second, "/login/passkey/ask", "/login/passkey")
    shown = device.shows(question["options"])
    assert again.fills(second, "/login/passkey", answer=shown, asked=question["asked"]).address == "/patients"
    replayed = Browser(bach_mai)
    third = replayed.signs_in()
    answer = replayed.submits(third, "/login/passkey", answer=shown, asked=question["asked"])
    assert answer.response.headers["Location"].startswith("/login")


def test_a_passkey_proves_again_who_it_is_and_then_the_password_alone_does_not(
    browser: Browser, bach_mai: Hospital
) -> None:
    device = Device(bach_mai.house.settings.house.url)
    browser.signs_in()
    page = browser.opens("/account")
    question = asks(browser, page, "/account/passkeys/ask", "/account/passkeys")
    made = device.makes(question["options"])
    browser.fills(page, "/account/passkeys", answer=made, asked=question["asked"], name="máy bàn")
    bach_mai.lab.clock.moves(by=timedelta(minutes=6))
    asked = browser.fills(browser.opens("/account"), "/account/code")
    assert "Xác nhận lại danh tính" in asked.text and 'type="password"' not in asked.html
    token = dict(asked.form("/prove/passkey").fields)["token"]
    assert browser.sends("POST", "/prove", data={"token": token, "password": PASSWORD}).status == 422
    question = asks(browser, asked, "/prove/passkey/ask", "/prove/passkey")
    shown = device.shows(question["options"])
    wrong = json.dumps({**json.loads(shown), "id": b64(b"other")})
    assert browser.submits(asked, "/prove/passkey", answer=wrong, asked=question["asked"]).status == 403
    assert "Xác nhận lại danh tính" in browser.fills(browser.opens("/account"), "/account/code").text
    question = asks(browser, asked, "/prove/passkey/ask", "/prove/passkey")
    shown = device.shows(question["options"])
    assert browser.fills(asked, "/prove/passkey", answer=shown, asked=question["asked"]).address == "/account"
    assert "Quét mã" in browser.fills(browser.opens("/account"), "/account/code").text
    bach_mai.lab.clock.moves(by=timedelta(minutes=6))
    again = browser.submits(asked, "/prove/passkey", answer=shown, asked=question["asked"])
    assert again.response.headers["Location"].startswith("/login"), "what was shown once proves nothing"


# --- the hospital's own sign-in


@pytest.fixture
def idp(tmp_path: Path, lab_authority: Credential, bach_mai: Hospital) -> Iterator[OpenIdProvider]:
    provider_pages._client.cache_clear()
    made = OpenIdProvider(tmp_path, lab_authority, bach_mai.lab.clock)
    secret = bach_mai.house.settings.home / "provider.secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    signing_in(
        bach_mai,
        provider=made.issuer,
        provider_name="tài khoản bệnh viện",
        client_id=CLIENT,
        client_secret_file="provider.secret",
        provider_ca_file="tls/federation-ca.crt",
        roles={"quan-tri": "administrator", "bac-si": "doctor"},
    )
    yield made
    made.close()


def goes(browser: Browser, idp: OpenIdProvider) -> Seen:
    away = browser.sends("GET", "/login/provider")
    return browser._follow(browser.sends("GET", idp.sends_back(away.response.headers["Location"])))


def test_a_doctor_signs_in_with_the_hospitals_own_account(browser: Browser, idp: OpenIdProvider) -> None:
    assert "tài khoản bệnh viện" in browser.opens("/").text
    page = goes(browser, idp)
    assert page.address == "/patients" and "BS. An" in page.text
    idp.claims["roles"] = ["quan-tri"]
    assert goes(Browser(browser.hospital), idp).address == "/node", "the role is that of this sign-in"
    third = Browser(browser.hospital)
    assert third.fills(third.opens("/"), "/login", username="bs.an", password="").status == 403


def test_signing_out_leads_on_to_the_provider_without_a_word_about_the_person(
    browser: Browser, idp: OpenIdProvider
) -> None:
    page = goes(browser, idp)
    out = browser.fills(page, "/logout")
    assert "tài khoản bệnh viện" in out.text and browser.sends("GET", "/patients").status == 303
    leaving = browser.sends("GET", out.link("/logout/provider")).response.headers["Location"]
    asked = parse_qs(urlsplit(leaving).query)
    assert leaving.startswith(f"{idp.issuer}/end?")
    back = f"{browser.hospital.house.settings.house.url}/login"
    assert asked == {"client_id": [CLIENT], "post_logout_redirect_uri": [back]}
    local = Browser(browser.hospital)
    assert "/logout/provider" not in local.fills(local.signs_in(), "/logout").links


def test_without_a_provider_there_is_nothing_to_leave(browser: Browser, bach_mai: Hospital) -> None:
    assert browser.sends("GET", "/logout/provider").status == 404


@pytest.mark.parametrize(
    "lies",
    [{"nonce": "other"}, {"aud": "another"}, {"exp": 1}, {"iss": "https://evil.example"}, {"sub": None}],
    ids=str,
)
def test_a_token_that_is_not_for_this_sign_in_lets_nobody_in(
    browser: Browser, idp: OpenIdProvider, lies: dict[str, Any]
) -> None:
    idp.lies = lies
    assert goes(browser, idp).status in (403, 502)
    assert browser.sends("GET", "/patients").status == 303


def test_a_forged_return_and_one_of_another_browser_let_nobody_in(browser: Browser, idp: OpenIdProvider) -> None:
    away = browser.sends("GET", "/login/provider")
    back = idp.sends_back(away.response.headers["Location"])
    assert Browser(browser.hospital).sends("GET", back).response.headers["Location"].startswith("/login")
    assert browser.sends("GET", back.partition("&state=")[0] + "&state=x").status == 403


def test_who_has_no_role_or_another_ones_name_is_not_let_in(browser: Browser, idp: OpenIdProvider) -> None:
    idp.claims["roles"] = ["thu-ngan"]
    assert "chưa được gán vai trò" in goes(browser, idp).text
    idp.claims |= {"roles": ["bac-si"], "preferred_username": NAME}
    assert goes(browser, idp).status == 409


def test_a_provider_that_is_down_is_said_and_local_accounts_go_on(browser: Browser, idp: OpenIdProvider) -> None:
    idp.close()
    assert browser.sends("GET", "/login/provider").status == 502
    assert browser.signs_in().address == "/patients"
    idp.close = lambda: None  # type: ignore[method-assign]
