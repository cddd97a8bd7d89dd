"""What all commands share: which node, how results look, and how an error is told."""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from hie_node.acts import Caller
    from hie_node.house import House
    from hie_node.settings import Settings

Choice = TypeVar("Choice", bound=Enum)
home_option: ContextVar[Path | None] = ContextVar("home", default=None)
_opened: ContextVar[House | None] = ContextVar("opened", default=None)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def home_of_node() -> Path:
    """--home, HIE_HOME, or the current folder."""
    return home_option.get() or Path.cwd()


def settings_of_node() -> Settings:
    """The settings of the node that a command is about."""
    from hie_node.settings import load

    return load(home_of_node())


def open_house() -> House:
    """The node's own parts in this process; works beside a running node.

    What a command records is sealed when it ends: a node that stands still has nobody else to do it.
    """
    from hie_node import log
    from hie_node.bootstrap import build

    log.configure()
    house = build(settings_of_node())
    _opened.set(house)
    return house


def seal_what_is_left() -> None:
    """At the end of a command, however it ends."""
    house = _opened.get()
    if house is None:
        return
    from hie_node.flows.audit import seal
    from hie_node.running import running
    from registry.errors import VersionConflict

    _opened.set(None)
    # a node that was started this moment may be the faster one
    with suppress(VersionConflict):
        while running(house.settings) is None and seal(house):
            pass
    house.storage.close()


def caller_of(house: House, username: str | None, purpose: str = "TREAT", reason: str = "") -> Caller:
    """Somebody of this hospital at the command line: a registered user, or the administrator's own account."""
    from consent.requesters import PurposeOfUse, Requester, Role
    from hie_node.acts import Caller

    name, role, subject = "", Role.SYSTEM, f"cli:{account()}"
    if username is not None:
        with house.storage.read() as unit:
            user = unit.people_of_the_house.user(username)
        if user is None or user.disabled:
            raise typer.BadParameter(f"there is no user {username} here; see: hie users list", param_hint="--as")
        name, role, subject = user.name, user.role, user.username
    requester = Requester(
        subject,
        role,
        house.home,
        name=name,
        organization=house.settings.name,
        purpose=one_of(PurposeOfUse, purpose, "--purpose"),
        reason=reason,
    )
    return Caller(requester, "house")


def account() -> str:
    """Whose shell this is; a container may run under a number that no account of it has."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def new_password() -> str:
    """Asked for twice at a terminal; otherwise the first line of standard input. Raises ValueError for a short one."""
    from hie_node.passwords import SHORTEST

    if sys.stdin.isatty():
        password: str = typer.prompt(
            f"password ({SHORTEST} characters or more)", hide_input=True, confirmation_prompt=True
        )
    else:
        password = sys.stdin.readline().rstrip("\n")
    if len(password) < SHORTEST:
        raise ValueError(f"password: at least {SHORTEST} characters")
    return password


def show(document: Any, lines: Iterable[str], *, as_json: bool) -> None:
    """One JSON document, or lines for a person."""
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, default=str) + "\n")
        return
    for line in lines:
        sys.stdout.write(line + "\n")


def table(rows: Sequence[Sequence[object]], *, head: Sequence[str]) -> list[str]:
    """Columns that line up."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def read_json(path: Path) -> Any:
    """What a JSON file holds; raises ValueError with its name."""
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        place = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(f"{path}: not a JSON file{place}") from error


def one_of(kind: type[Choice], text: str, what: str) -> Choice:
    """The member that a person named; raises ValueError with all there are."""
    try:
        return kind(text)
    except ValueError as error:
        raise ValueError(f"{what}: expected one of {', '.join(str(m.value) for m in kind)}; found {text}") from error
