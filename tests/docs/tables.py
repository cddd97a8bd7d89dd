"""The tables in docs/ that are made from the code, so that they cannot say anything else.

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`; `./run docs` writes all of them again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import click
import typer.main

from adapters.catalogue import TRANSACTIONS
from adapters.fhir.outcome import CODES
from adapters.hl7v2 import ack
from adapters.hl7v2.catalogue import EXCHANGES
from adapters.soap.faults import XDS_CODES
from adapters.transactions import Transaction
from hie_node.ahead_tables import Line, TransfersAhead
from hie_node.cli import app
from hie_node.doors import BASES
from hie_node.edge.limits import EdgeLimits
from hie_node.setting_tables import Atna, Dicom, Limits, Mllp, Notices, Pacs, SignIn, Subscriptions
from hie_node.settings import Settings
from hie_node.web.door import PAGES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_TABLE = re.compile(r"<!-- table: ([a-z0-9-]+) -->\n.*?<!-- end of table -->", re.DOTALL)
_FIELD = re.compile(r"    (\w+) {1,}(\S.*)")
_MORE = re.compile(r" {8,}(\S.*)")


def field_words(owner: type) -> dict[str, str]:
    """What a dataclass's docstring says of each field."""
    words: dict[str, str] = {}
    name = ""
    known = {one.name for one in fields(owner)}
    for line in (owner.__doc__ or "").splitlines():
        begun, more = _FIELD.fullmatch(line), _MORE.fullmatch(line)
        if begun and begun[1] in known:
            name = begun[1]
            words[name] = begun[2]
        elif more and name:
            words[name] += " " + more[1]
    return words


def _markdown(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _default(owner: Any, name: str) -> str:
    value = next(one.default for one in fields(owner) if one.name == name)
    return f"`{value!r}`" if isinstance(value, (int, float, str, tuple)) else ""


def settings() -> str:
    elsewhere = ("home", "limits", "mllp", "notices", "dicom", "pacs", "sign_in", "atna", "subscriptions", "ahead")
    told = {name: text for name, text in field_words(Settings).items() if name not in elsewhere}
    rows = ([f"`{name}`", _default(Settings, name), text] for name, text in told.items())
    return _markdown(["setting", "default", "what it is"], rows)


def limits() -> str:
    rows = ([f"`{name}`", _default(Limits, name), text] for name, text in field_words(Limits).items())
    return _markdown(["limit", "default", "what it bounds"], rows)


def mllp() -> str:
    rows = ([f"`{name}`", _default(Mllp, name), text] for name, text in field_words(Mllp).items())
    return _markdown(["setting", "default", "what it is"], rows)


def notices() -> str:
    rows = ([f"`{name}`", _default(Notices, name), text] for name, text in field_words(Notices).items())
    return _markdown(["setting", "default", "what it is"], rows)


def atna() -> str:
    rows = ([f"`{name}`", _default(Atna, name), text] for name, text in field_words(Atna).items())
    return _markdown(["setting", "default", "what it is"], rows)


def dicom() -> str:
    rows = ([f"`{name}`", _default(Dicom, name), text] for name, text in field_words(Dicom).items())
    return _markdown(["setting", "default", "what it is"], rows)


def pacs() -> str:
    told = {"name": "how this node calls it", "host": "and", "port": "where it listens", **field_words(Pacs)}
    rows = ([f"`{one.name}`", _default(Pacs, one.name), told[one.name]] for one in fields(Pacs))
    return _markdown(["setting", "default", "what it is"], rows)


def ahead() -> str:
    told = {name: text for name, text in field_words(TransfersAhead).items() if name != "lines"}
    rows = ([f"`{name}`", _default(TransfersAhead, name), text] for name, text in told.items())
    return _markdown(["setting", "default", "what it is"], rows)


def ahead_lines() -> str:
    rows = ([f"`{name}`", _default(Line, name), text] for name, text in field_words(Line).items())
    return _markdown(["setting", "default", "what it is"], rows)


def sign_in() -> str:
    rows = ([f"`{name}`", _default(SignIn, name), text] for name, text in field_words(SignIn).items())
    return _markdown(["setting", "default", "what it is"], rows)


def subscriptions() -> str:
    rows = ([f"`{name}`", _default(Subscriptions, name), text] for name, text in field_words(Subscriptions).items())
    return _markdown(["setting", "default", "what it is"], rows)


def hl7_exchanges() -> str:
    rows = (
        [one.name, one.title, ", ".join(f"`{kind}^{event}`" for kind, event in sorted(one.events)), one.source]
        for one in EXCHANGES
    )
    return _markdown(["", "what", "messages", "source"], rows)


def hl7_errors() -> str:
    rows: dict[tuple[str, int], list[str]] = {}
    for kind, (code, number, _, _) in ack.CODES.items():
        rows.setdefault((code, number), []).append((kind.__doc__ or "").splitlines()[0].rstrip("."))
    listed = ([f"`{code}`", number, "; ".join(dict.fromkeys(texts))] for (code, number), texts in sorted(rows.items()))
    return _markdown(["MSA-1", "ERR-3", "when"], listed)


def edge_limits() -> str:
    rows = ([f"`{name}`", _default(EdgeLimits, name), text] for name, text in field_words(EdgeLimits).items())
    return _markdown(["limit", "value", "unit and what it bounds"], rows)


def _paths(transaction: Transaction) -> str:
    method, path = transaction.route
    shown = path.replace("<", "{").replace(">", "}")
    also = "<br>`POST " + path.rstrip("/") + "/_search`" if transaction.form else ""
    return f"`{method} {shown}`{also}"


def _doors(transaction: Transaction) -> str:
    bases = [base for listener in BASES for base in BASES[listener]]
    named = {door: path for door, family, path in bases if family == transaction.family}
    words = {door: f"peer `{path}`" if door == "peer" else f"`{path}`" for door, path in named.items()}
    return ", ".join(words[door] for door in ("house", "network", "peer") if door in transaction.doors)


def transactions() -> str:
    rows = ([t.name, t.title, _paths(t), _doors(t), _needed(t)] for t in TRANSACTIONS if not t.action)
    return _markdown(["", "what", "method and path", "where", "scope"], rows)


def soap_transactions() -> str:
    paths = {(door, family): path for listener in BASES.values() for door, family, path in listener}
    rows = [
        [t.name, t.title, f"`{paths[(door, t.family)]}`", f"`{t.action}`", _scope(t, door)]
        for t in TRANSACTIONS
        if t.action
        for door in sorted(t.doors)
    ]
    return _markdown(["", "what", "address", "action", "scope"], rows)


def _needed(transaction: Transaction) -> str:
    if transaction.open_to_all:
        return "none"
    return _scope(transaction, "house") if transaction.scope[0] else "that of each entry"


def _scope(transaction: Transaction, door: str) -> str:
    return "peers" if door == "peer" else f"`system/{transaction.scope[0]}.{transaction.scope[1]}`"


def soap_errors() -> str:
    rows: dict[str, list[str]] = {}
    for kind, code in XDS_CODES.items():
        rows.setdefault(code, []).append((kind.__doc__ or "").splitlines()[0].rstrip("."))
    return _markdown(["code", "when"], ([f"`{c}`", "; ".join(dict.fromkeys(t))] for c, t in sorted(rows.items())))


def errors() -> str:
    rows: dict[tuple[int, str], list[str]] = {}
    for kind, code in CODES.items():
        rows.setdefault(code, []).append((kind.__doc__ or "").splitlines()[0].rstrip("."))
    listed = ([status, f"`{code}`", "; ".join(dict.fromkeys(texts))] for (status, code), texts in sorted(rows.items()))
    return _markdown(["status", "issue", "when"], listed)


@cache
def every_command() -> dict[str, str]:
    """Each command of `hie`, with its first line of help."""
    found: dict[str, str] = {}

    def walk(command: click.Command, path: str) -> None:
        below = getattr(command, "commands", None)
        if below is None:
            found[path] = (command.help or "").strip().splitlines()[0]
            return
        for name, one in below.items():
            walk(one, f"{path} {name}")

    walk(typer.main.get_command(app), "hie")
    return found


def commands() -> str:
    return _markdown(["command", "what it does"], ([f"`{name}`", text] for name, text in every_command().items()))


def web_pages() -> str:
    """The pages that can be opened, and who may open them."""
    rows: dict[str, str] = {}
    for page in PAGES:
        if page.method == "GET":
            roles = "everybody" if page.roles is None else ", ".join(sorted(role.value for role in page.roles))
            rows[page.path.replace("<", "{").replace(">", "}")] = roles
    return _markdown(["page", "for"], ([f"`{path}`", roles] for path, roles in rows.items()))


TABLES: dict[str, Callable[[], str]] = {
    "settings": settings,
    "limits": limits,
    "edge-limits": edge_limits,
    "transactions": transactions,
    "errors": errors,
    "commands": commands,
    "mllp": mllp,
    "notices": notices,
    "atna": atna,
    "dicom": dicom,
    "pacs": pacs,
    "sign-in": sign_in,
    "subscriptions": subscriptions,
    "ahead": ahead,
    "ahead-lines": ahead_lines,
    "hl7-exchanges": hl7_exchanges,
    "hl7-errors": hl7_errors,
    "pages": web_pages,
    "soap-transactions": soap_transactions,
    "soap-errors": soap_errors,
}


def with_tables(page: str) -> str:
    """A page with each of its tables as the code has it now."""

    def made(found: re.Match[str]) -> str:
        return f"<!-- table: {found[1]} -->\n{TABLES[found[1]]()}\n<!-- end of table -->"

    return _TABLE.sub(made, page)


def pages() -> list[Path]:
    """Everything that a reader opens."""
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])


if __name__ == "__main__":
    for file in pages():
        before = file.read_text("utf-8")
        after = with_tables(before)
        if after != before:
            file.write_text(after, "utf-8")
            print(f"wrote {file.relative_to(ROOT)}")
