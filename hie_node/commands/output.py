"""What all commands share: which node, how results look, and how an error is told."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterable, Sequence
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
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]


def home_of_node() -> Path:
    """--home, HIE_HOME, or the current folder."""
    return home_option.get() or Path.cwd()


def settings_of_node() -> Settings:
    """The settings of the node that a command is about."""
    from hie_node.settings import load

    return load(home_of_node())


def open_house() -> House:
    """The node's own parts in this process; works beside a running node."""
    from hie_node import log
    from hie_node.bootstrap import build

    log.configure()
    return build(settings_of_node())


def caller_of(house: House, username: str | None, purpose: str = "TREAT", reason: str = "") -> Caller:
    """Somebody of this hospital at the command line: a registered user, or the administrator's own account."""
    import getpass

    from consent.requesters import PurposeOfUse, Requester, Role
    from hie_node.acts import Caller

    name, role, subject = "", Role.SYSTEM, f"cli:{getpass.getuser()}"
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


def complain(error: Exception) -> bool:
    """One line about an error that a person can mend; False for a fault of ours."""
    from adapters.peers.errors import PeerError
    from adapters.trust.errors import TrustError
    from consent.errors import ConsentError
    from hie_node.lab.nodes import LabFailed
    from hie_node.setting_tables import UnsafeSettings
    from registry.errors import RegistryError

    known = (RegistryError, ConsentError, TrustError, PeerError, UnsafeSettings, LabFailed, OSError, ValueError)
    if not isinstance(error, known):
        return False
    text = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.filename else str(error)
    sys.stderr.write(f"hie: {text}\n")
    return True


def confess(error: Exception) -> None:
    """One line about a fault of ours: what and where, without its text, which may quote a patient."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).parent.name}/{Path(last.filename).name}:{last.lineno}"
    sys.stderr.write(f"hie: a fault of this program, {type(error).__name__} at {place}; please report it\n")


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
