"""A hospital's OpenID provider for tests: real TLS on loopback, real signatures, and whatever a test lies about."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.trust import certificates
from adapters.trust.certificates import Credential
from adapters.trust.jwk import public_jwk
from registry.identifiers import HomeCommunityId
from tests.lab import Clock

CLIENT, SECRET = "hie-node", "bí mật của nút"


class OpenIdProvider:
    """One issuer. `claims` are told of whoever signs in; `lies` go over everything that the ID token says."""

    def __init__(self, folder: Path, authority: Credential, clock: Clock) -> None:
        self.key, self.clock = rsa.generate_private_key(65537, 2048), clock
        self.claims: dict[str, Any] = {
            "sub": "u-17",
            "preferred_username": "bs.an",
            "name": "BS. An",
            "roles": ["bac-si"],
        }
        self.lies: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._serve(folder, authority)
        self.issuer = f"https://127.0.0.1:{self._server.server_port}"

    def _serve(self, folder: Path, authority: Credential) -> None:
        home = HomeCommunityId("urn:oid:2.25.99")
        issued = certificates.issue(authority, home, organization="P", hosts=["127.0.0.1"], now=self.clock())
        (folder / "idp.pem").write_bytes(issued.certificate + issued.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "idp.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def sends_back(self, address: str) -> str:
        """Somebody signs in at the address to which the node sent the browser; gives the path to come back to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return f"{urlsplit(asked['redirect_uri']).path}?code={code}&state={asked['state']}"

    def _token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        known = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        if asked is None or asked["code_challenge"] != challenge or not known.startswith(f"{CLIENT}:"):
            return None
        now = int(self.clock().timestamp())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "auth_time": now,
        }
        token = jwt.encode(claims | self.claims | self.lies, self.key, algorithm="RS256", headers={"kid": "k"})
        return {"access_token": "x", "token_type": "Bearer", "id_token": token}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                at = provider.issuer
                jwk = public_jwk(provider.key.public_key()) | {"kid": "k", "alg": "RS256"}
                documents = {
                    "/.well-known/openid-configuration": {
                        "issuer": at,
                        "authorization_endpoint": f"{at}/authorize",
                        "token_endpoint": f"{at}/token",
                        "jwks_uri": f"{at}/keys",
                        "end_session_endpoint": f"{at}/end",
                    },
                    "/keys": {"keys": [jwk]},
                }
                self._answer(documents.get(self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                self._answer(provider._token(form, self.headers.get("Authorization", "")))

            def _answer(self, document: object) -> None:
                content = json.dumps(document).encode()
                self.send_response(200 if document else 400)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
