"""What a CDS service answers, held against CDS Hooks 2.0.

Nobody publishes a schema of 2.0, and no library checks one: the rules in `rules/cds_hooks.json` are written from the
text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema

from tests.stand_in_edge import Reply

RULES = Path(__file__).parent / "rules" / "cds_hooks.json"


@cache
def _rule(name: str) -> Callable[[Any], Any]:
    whole = json.loads(RULES.read_text("utf-8"))
    found: Callable[[Any], Any] = fastjsonschema.compile({**whole, "$ref": f"#/definitions/{name}"})
    return found


def faults(name: str, said: Any) -> list[str]:
    """`discovery`, `answer`, `heard` (what feedback is answered) or `problem`."""
    try:
        _rule(name)(said)
    except fastjsonschema.JsonSchemaException as fault:
        return [str(fault)]
    return []


def judged(reply: Reply, path: str) -> Reply:
    """The same reply, after a look: a message of the standard, or a problem that says its own status."""
    body = reply.body
    kind = reply.headers.get("content-type", "").partition(";")[0]
    said = json.loads(body)
    if reply.status == 200:
        name = "heard" if path.endswith("/feedback") else "discovery" if path.endswith("/cds-services") else "answer"
        assert kind == "application/json", kind
    else:
        name = "problem"
        assert kind == "application/problem+json" and said["status"] == reply.status, (kind, body)
    assert not faults(name, said), (faults(name, said), body)
    return Reply(reply.status, reply.headers, [body])  # type: ignore[arg-type]  # may be read twice
