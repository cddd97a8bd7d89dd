"""An endpoint that is told: a foreign system's HTTPS server, which keeps what it got and answers as a test wants."""

from __future__ import annotations

import json
import ssl
import threading
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from adapters.fhir.xml_format import parse_xml
from tests.conformance.profiles import refuse_faulty

Resource = dict[str, Any]


@dataclass
class Notice:
    """One message as it arrived."""

    path: str
    headers: Message
    body: bytes

    @property
    def bundle(self) -> Resource:
        if "xml" in self.headers["content-type"]:
            return parse_xml(self.body)
        found: Resource = json.loads(self.body)
        return found

    @property
    def status(self) -> Resource:
        """The parameters of its SubscriptionStatus; `notification-event` is a list of the events."""
        first = self.bundle["entry"][0]["resource"]
        assert first["resourceType"] == "Parameters"
        return status_of(first)

    @property
    def numbers(self) -> list[int]:
        return [int(event["event-number"]) for event in self.status["events"]]


def status_of(parameters: Resource) -> Resource:
    plain = {one["name"]: _value(one) for one in parameters["parameter"] if one["name"] != "notification-event"}
    events = [one["part"] for one in parameters["parameter"] if one["name"] == "notification-event"]
    return plain | {"events": [{part["name"]: _value(part) for part in parts} for parts in events]}


def _value(parameter: Resource) -> Any:
    return next(value for name, value in parameter.items() if name.startswith("value"))


class Endpoint:
    """Listens at `url` from its making on."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.notices: list[Notice] = []
        self.answer = 200
        self.seen = threading.Condition()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with endpoint.seen:
                    if endpoint.answer < 300:
                        endpoint.notices.append(Notice(self.path, self.headers, body))
                    endpoint.seen.notify_all()
                self.send_response(endpoint.answer)
                self.send_header("Content-Length", "0")
                if endpoint.answer // 100 == 3:
                    self.send_header("Location", "https://127.0.0.1:1/")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"https://127.0.0.1:{self.port}/told?of=documents"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def takes(self, kind: str) -> list[Notice]:
        """What came of one kind; everything that came is judged."""
        for one in self.notices:
            refuse_faulty(one.bundle)
        return [one for one in self.notices if one.status["type"] == kind]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
