"""Keys that devices keep for people: what a browser is asked for, and whether its answer is right.

The only file that knows the WebAuthn library. No attestation is asked for: which device it is does not matter here.
Source: W3C Web Authentication Level 2, sections 7.1 (registration) and 7.2 (assertion).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from adapters.store.people import Passkey
from adapters.trust.jwk import base64url, from_base64url
from consent.errors import TokenRefused

LONGEST_ANSWER = 20_000


@dataclass(frozen=True, slots=True)
class Site:
    """Whose keys they are: the address at which the browser sees this node."""

    origin: str
    name: str

    @property
    def host(self) -> str:
        return urlsplit(self.origin).hostname or ""


def registration(site: Site, *, username: str, name: str, known: Sequence[Passkey]) -> tuple[dict[str, Any], str]:
    """What the browser is asked for to make a key, and the challenge in it."""
    from webauthn import generate_registration_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

    options = generate_registration_options(
        rp_id=site.host,
        rp_name=site.name,
        user_name=username,
        user_display_name=name or username,
        exclude_credentials=[PublicKeyCredentialDescriptor(id=from_base64url(one.id)) for one in known],
    )
    return options_to_json_dict(options), base64url(options.challenge)


def registered(site: Site, answer: str, *, challenge: str, name: str) -> Passkey:
    """The key that the browser's answer brings; raises TokenRefused."""
    from webauthn import verify_registration_response

    given = _read(answer)
    try:
        made = verify_registration_response(
            credential=given,
            expected_challenge=from_base64url(challenge),
            expected_rp_id=site.host,
            expected_origin=site.origin,
        )
    except Exception as error:
        raise TokenRefused("passkey") from error
    return Passkey(base64url(made.credential_id), base64url(made.credential_public_key), made.sign_count, name)


def assertion(site: Site, known: Sequence[Passkey]) -> tuple[dict[str, Any], str]:
    """What the browser is asked for to show one of these keys, and the challenge in it."""
    from webauthn import generate_authentication_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

    options = generate_authentication_options(
        rp_id=site.host,
        allow_credentials=[PublicKeyCredentialDescriptor(id=from_base64url(one.id)) for one in known],
    )
    return options_to_json_dict(options), base64url(options.challenge)


def asserted(site: Site, answer: str, *, challenge: str, known: Sequence[Passkey]) -> Passkey:
    """The key that was shown, with its new counter; raises TokenRefused. A counter that did not grow is a copy."""
    from webauthn import verify_authentication_response

    given = _read(answer)
    key = next((one for one in known if one.id == given.get("id")), None)
    if key is None:
        raise TokenRefused("passkey")
    try:
        shown = verify_authentication_response(
            credential=given,
            expected_challenge=from_base64url(challenge),
            expected_rp_id=site.host,
            expected_origin=site.origin,
            credential_public_key=from_base64url(key.public_key),
            credential_current_sign_count=key.count,
        )
    except Exception as error:
        raise TokenRefused("passkey") from error
    return Passkey(key.id, key.public_key, shown.new_sign_count, key.name)


def _read(answer: str) -> dict[str, Any]:
    try:
        given = json.loads(answer[:LONGEST_ANSWER])
    except ValueError as error:
        raise TokenRefused("passkey") from error
    if not isinstance(given, dict):
        raise TokenRefused("passkey")
    return given
