"""A hospital's own system as the lab plays it: gets tokens with its key and speaks FHIR and DICOMweb to its node."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from adapters.trust.jwt_door import encode
from adapters.trust.smart import ASSERTION_TYPE

PIECE = 1 << 20


class HospitalSystem:
    """One client of one node. `entry` is a hospital of `lab.json`; `emergency` is what the doctor declares it with."""

    def __init__(self, entry: Mapping[str, Any], *, doctor: str | None = None, emergency: str = "") -> None:
        self.entry, self._doctor, self._emergency = entry, doctor, emergency
        self._session = requests.Session()
        # an operator's environment must not decide whom a node's client trusts
        self._session.trust_env = False
        self._session.verify = entry["ca_file"]
        self._token, self._until = "", 0.0

    @property
    def url(self) -> str:
        return str(self.entry["house_url"])

    def get(self, path: str, *, params: Any = None, headers: Mapping[str, str] | None = None) -> requests.Response:
        return self._session.get(self.url + path, params=params, headers=self._headers(headers), timeout=60)

    def search(self, path: str, form: Mapping[str, str]) -> dict[str, Any]:
        """A search by POST, so that nothing personal stands in a URL."""
        answer = self._session.post(f"{self.url}{path}/_search", data=form, headers=self._headers(), timeout=60)
        answer.raise_for_status()
        return dict(answer.json())

    def post(self, path: str, resource: Mapping[str, Any]) -> requests.Response:
        headers = self._headers({"Content-Type": "application/fhir+json"})
        return self._session.post(self.url + path, data=json.dumps(resource), headers=headers, timeout=60)

    def put(self, path: str, resource: Mapping[str, Any], *, where: Mapping[str, str]) -> requests.Response:
        """A conditional update: what fits `where` becomes this."""
        headers = self._headers({"Content-Type": "application/fhir+json"})
        body = json.dumps(resource)
        return self._session.put(self.url + path, params=where, data=body, headers=headers, timeout=60)

    def delete(self, path: str) -> requests.Response:
        return self._session.delete(self.url + path, headers=self._headers(), timeout=60)

    @contextmanager
    def stream(self, path: str, accept: str) -> Iterator[requests.Response]:
        """An answer that flows."""
        headers = self._headers({"Accept": accept})
        with self._session.get(self.url + path, headers=headers, stream=True, timeout=60) as answer:
            answer.raise_for_status()
            yield answer

    def _headers(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._access_token()}", "Accept": "application/fhir+json", **(more or {})}

    def _access_token(self) -> str:
        """From the token endpoint, while the last one has a minute left."""
        if time.time() > self._until - 60:
            client = self.entry["clients"][0]
            url = f"{self.url}/oauth/token"
            form = {
                "grant_type": "client_credentials",
                "scope": " ".join(client["scopes"]),
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": self._assertion(client, url),
            }
            answer = self._session.post(url, data=form, timeout=30)
            answer.raise_for_status()
            self._token, self._until = answer.json()["access_token"], time.time() + answer.json()["expires_in"]
        return self._token

    def _assertion(self, client: Mapping[str, Any], url: str) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": client["client_id"],
            "sub": client["client_id"],
            "aud": url,
            "iat": now,
            "exp": now + 240,
            "jti": secrets.token_urlsafe(16),
        }
        if self._doctor:
            person = {"subject_name": self._doctor, "subject_role": [{"code": "doctor"}]}
            declared = {"purpose_of_use": [{"code": "BTG"}], "reason": self._emergency} if self._emergency else {}
            claims["extensions"] = {"ihe_iua": person | declared}
        key = load_pem_private_key(Path(client["key_file"]).read_bytes(), password=None)
        return encode(claims, key, kid=client["kid"], typ="JWT", algorithm=client["alg"])  # type: ignore[arg-type]
