"""An application whose FHIR is judged on its way, whoever asked: at both doors, also what one node tells another.

Cut answers and refused questions are left out: they are no message that anybody reads as one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.conformance.profiles import refuse_faulty
from tests.stand_in_edge import Wsgi, flowing

FHIR = "application/fhir+json"


def judged(application: Wsgi, faulty: list[str]) -> Wsgi:
    """What is wrong is added to `faulty`, with where it was said."""

    def answers(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        door, place = environ["HTTP_X_HIE_DOOR"], f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        asked = b""
        if door == "peer" and environ.get("CONTENT_TYPE", "").startswith(FHIR):
            asked = environ["wsgi.input"].getvalue()
        told: list[Any] = []

        def starts(status: str, fields: list[tuple[str, str]], exc_info: Any = None) -> Any:
            told[:] = [int(status.split(maxsplit=1)[0]), {name.lower(): value for name, value in fields}]
            return start(status, fields, exc_info)

        answer = application(environ, starts)  # at once, as every server does
        return _judging(flowing(answer), told, asked, f"{door}: {place}", faulty)

    return answers


def _judging(pieces: Iterator[bytes], told: list[Any], asked: bytes, where: str, faulty: list[str]) -> Iterator[bytes]:
    whole: list[bytes] = []
    yield from _kept(pieces, whole, told)
    status, fields = told
    if asked and status // 100 == 2:
        _judge(asked, f"{where}, the question", faulty)
    if fields.get("content-type", "").startswith(FHIR) and whole:
        _judge(b"".join(whole), f"{where} {status}", faulty)


def _kept(pieces: Iterator[bytes], whole: list[bytes], told: list[Any]) -> Iterator[bytes]:
    for piece in pieces:
        if told and told[1].get("content-type", "").startswith(FHIR):
            whole.append(piece)
        yield piece


def _judge(body: bytes, where: str, faulty: list[str]) -> None:
    try:
        refuse_faulty(json.loads(body))
    except AssertionError as fault:
        faulty.append(f"{where}: {fault}")
