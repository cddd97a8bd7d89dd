"""What the administrator looks at: how peers answered, what waits, what was dropped, how it is set, a diagnosis.

Nothing here is about a patient. The diagnosis may be given to somebody outside: it holds no name of a file or a person.
"""

from __future__ import annotations

import platform
import statistics
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from adapters.store.migrations import expected
from hie_node import checks
from hie_node.dropped_files import refused_files, waiting_files
from hie_node.flows.describe import software_version
from hie_node.house import House
from hie_node.ordering_tables import FILES
from registry.answered import Answered
from registry.answers import OutcomeKind
from registry.directory import Peer

QUESTIONS = 300
"""How many of the last questions to a peer its figures are made from."""
MOST_NOTICES = 1000
"""How many of the last notices of changed identities are counted."""
MASK = "••••"
SECRETS = frozenset({"client_secret_file"})


@dataclass(frozen=True, slots=True)
class PeerFigures:
    """How one hospital answered lately. `seconds` is the median of its answers; None where it gave none."""

    peer: Peer
    asked: int = 0
    answered: int = 0
    last: OutcomeKind | None = None
    when: datetime | None = None
    seconds: float | None = None
    slowest: float | None = None


def peers(house: House, questions: int = QUESTIONS) -> tuple[PeerFigures, ...]:
    """Every other hospital of the directory, as it answered the newest questions."""
    others = [peer for peer in house.directory.current().peers if peer.home != house.home]
    with house.storage.read() as unit:
        return tuple(_figures(peer, unit.peer_answers.newest(peer.home, questions)) for peer in others)


def _figures(peer: Peer, answers: Sequence[Answered]) -> PeerFigures:
    """Of the newest questions to it, the newest first."""
    if not answers:
        return PeerFigures(peer)
    spoke = [one.seconds for one in answers if one.kind not in (OutcomeKind.SILENT, OutcomeKind.BROKEN)]
    times = (statistics.median(spoke), max(spoke)) if spoke else (None, None)
    return PeerFigures(peer, len(answers), len(spoke), answers[0].kind, answers[0].at, *times)


def heard(house: House) -> Iterator[checks.Check]:
    """Hospitals that did not answer when they were last asked; nobody is asked for it."""
    for one in peers(house, questions=1):
        if one.peer.active and one.last in (OutcomeKind.SILENT, OutcomeKind.BROKEN):
            name = f"peer {one.peer.community.facility} {one.peer.community.name}"
            yield checks.Check(name, "warning", "no usable answer when it was last asked", "not-heard")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: where it stands, its value as it may be shown, and where it comes from (`node.toml`, `default`)."""

    table: str
    name: str
    value: str
    origin: str


def settings_shown(house: House) -> tuple[Setting, ...]:
    """All settings with their origin; what opens something is masked."""
    written = tomllib.loads((house.settings.home / "node.toml").read_text("utf-8"))
    tables: dict[str, Any] = {"node": house.settings}
    tables |= {name: getattr(house.settings, name) for name in ("house", "peer", "ops", "limits", "mllp", "sign_in")}
    shown = []
    for table, owner in tables.items():
        for one in fields(owner):
            if one.name not in (*tables, "home"):
                origin = "node.toml" if one.name in written.get(table, {}) else "default"
                shown.append(Setting(table, one.name, _value(one.name, getattr(owner, one.name)), origin))
    return tuple(shown)


def _value(name: str, value: object) -> str:
    if name in SECRETS and value:
        return MASK
    if name == "database_url":
        parts = urlsplit(str(value))
        return str(value).replace(parts.password, MASK) if parts.password else str(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {one}" for key, one in value.items())
    if is_dataclass(value) and not isinstance(value, type) and type(value).__str__ is object.__str__:
        inside = ((each.name, getattr(value, each.name)) for each in fields(value))
        return ", ".join(f"{key} = {_value(key, one)}" for key, one in inside if one not in (None, "", (), frozenset()))
    if isinstance(value, tuple | frozenset):
        return ", ".join(sorted(map(str, value)) if isinstance(value, frozenset) else map(str, value))
    return str(value)


def changes_told(house: House) -> dict[str, dict[str, int]]:
    """By hospital, how many notices of changed identities came from it, wait, were told, were acknowledged."""
    with house.storage.read() as unit:
        found = unit.identities.notices(limit=MOST_NOTICES)
    counted: dict[str, dict[str, int]] = {}
    for one in found:
        states = counted.setdefault(str(one.home), dict.fromkeys(("received", "waiting", "told", "acknowledged"), 0))
        states[one.state] += 1
    return counted


def diagnosis(house: House) -> dict[str, Any]:
    """What somebody who helps needs to know, without a person in it."""
    with house.storage.read() as unit:
        jobs = unit.jobs.overview()
        counted = {"patients": unit.patients.size(), "disclosures": unit.disclosures.count()}
        doubts = len(unit.patients.reviews())
    figures = peers(house)
    return {
        "made": house.now().isoformat(),
        "program": software_version(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "database": {"kind": house.settings.database_url.split(":")[0], "version": expected()},
        "checks": [
            {"name": one.name, "state": one.state, "text": one.text} for one in checks.look_at(house, checks.NEAR)
        ],
        "settings": [
            {"table": s.table, "name": s.name, "value": s.value, "origin": s.origin} for s in _impersonal(house)
        ],
        "peers": [
            {
                "facility": str(one.peer.community.facility),
                "state": one.peer.state.value,
                "asked": one.asked,
                "answered": one.answered,
                "last": one.last.value if one.last else None,
                "median_seconds": one.seconds,
                "slowest_seconds": one.slowest,
            }
            for one in figures
        ],
        "identity_changes": changes_told(house),
        "jobs": [
            {
                "kind": j.kind,
                "number": j.number,
                "oldest": j.oldest.isoformat(),
                "attempts": j.attempts,
                "error": j.error,
            }
            for j in jobs
        ],
        "drop_folder": {"waiting": len(waiting_files(house)), "refused": len(refused_files(house))},
        "counted": {**counted, "doubts": doubts},
        "tables_of_ordering": [name for name in FILES if (house.settings.home / name).exists()],
    }


def _impersonal(house: House) -> Iterator[Setting]:
    """The officer is a person; paths may hold one's name."""
    for one in settings_shown(house):
        if one.name != "data_protection_officer":
            yield one
