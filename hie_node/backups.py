"""Back up a node while it runs, and bring it back as a node that knows that it missed something.

    backup.json     whose, of when, how many sealed rows, whether the keys are in it
    database.*      one consistent copy (adapters/store/dumps.py)
    contents/       the encrypted files that the database names, and perhaps newer ones; a second backup into the
                    same folder copies only what is new
    house/          node.toml, the list of peers, certificates, the model of the matcher: nothing secret
    keys.sealed     signing keys, the key of the contents, TLS keys, under a passphrase; or not there, on purpose

Without the keys a backup opens nothing, and with them everything: keep both apart, or the passphrase.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from adapters.store import dumps
from adapters.store.engine import make_engine
from adapters.store.restores import Restore
from adapters.store.unit import Storage
from adapters.trust.files import write_whole
from adapters.trust.sealed_keys import open_files, seal_files
from hie_node.house import House
from hie_node.setting_tables import UnsafeSettings
from hie_node.settings import Settings, load
from hie_node.witness import FILE as WITNESS

ABOUT, KEYS, HOUSE, CONTENTS = "backup.json", "keys.sealed", "house", "contents"
LAST = "last-backup.json"
OPEN_FILES = ("node.toml", "network", "tls", "matching_model.json")
FORM = 1


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What was written."""

    rows: int
    contents: int
    copied: int
    with_keys: bool


def back_up(house: House, folder: Path, *, passphrase: str | None) -> BackedUp:
    """Into an empty folder, or over an earlier backup of this node. It is good once `backup.json` is written again."""
    _check_place(house.settings, folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / ABOUT).unlink(missing_ok=True)
    with house.storage.read() as unit:
        last = unit.disclosures.last_seal()
    # the database first: content is on the disk before the index names it, so all that is named is copied after it
    dumps.dump(house.settings.database_url, folder)
    copied, contents = _copy_contents(house.settings.contents, folder / CONTENTS)
    _copy_open_files(house.settings, folder / HOUSE)
    (folder / KEYS).unlink(missing_ok=True)
    if passphrase is not None:
        seal_files(dict(_secret_files(house.settings)), passphrase, folder / KEYS)
    about = {
        "form": FORM,
        "home": str(house.home),
        "name": house.settings.name,
        "made": datetime.now(UTC).isoformat(),
        "rows": last.size if last else 0,
        "keys": passphrase is not None,
    }
    write_whole(folder / ABOUT, json.dumps(about, ensure_ascii=False, indent=1).encode())
    write_whole(house.settings.home / LAST, json.dumps({"made": about["made"]}).encode())
    return BackedUp(last.size if last else 0, contents, copied, passphrase is not None)


def last_made(settings: Settings) -> datetime | None:
    """When this node was last backed up, aware; None where it never was. Raises ValueError where that is unreadable."""
    try:
        return datetime.fromisoformat(json.loads((settings.home / LAST).read_text("utf-8"))["made"])
    except FileNotFoundError:
        return None


def _check_place(settings: Settings, folder: Path) -> None:
    place = folder.resolve()
    if place == settings.home or settings.home in place.parents:
        raise UnsafeSettings(f"{folder} is inside the node: a backup there is lost together with it")
    if folder.exists() and any(folder.iterdir()):
        known = _about(folder, needed=False)
        if known is None and not (folder / CONTENTS).is_dir():
            raise UnsafeSettings(f"{folder} holds something else; choose an empty folder or an earlier backup")
        if known is not None and known["home"] != str(settings.home_community_id):
            raise UnsafeSettings(f"{folder} is a backup of {known['name']}; nothing was changed")


def _about(folder: Path, *, needed: bool = True) -> dict[str, object] | None:
    try:
        found = json.loads((folder / ABOUT).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        if needed:
            raise UnsafeSettings(f"{folder} is no complete backup: {ABOUT} is missing or unreadable") from None
        return None
    if not isinstance(found, dict) or found.get("form") != FORM:
        raise UnsafeSettings(f"{folder / ABOUT}: of another version of this program")
    return found


def _copy_contents(source: Path, target: Path) -> tuple[int, int]:
    """Files named by hash never change: what is there with the same size stays. Returns how many were new, and all."""
    copied = total = 0
    target.mkdir(mode=0o700, exist_ok=True)
    for file in _files_of(source):
        place = target / file.relative_to(source)
        total += 1
        if place.exists() and place.stat().st_size == file.stat().st_size:
            continue
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = place.with_suffix(".part")
        shutil.copyfile(file, beside)
        with beside.open("rb") as written:
            os.fsync(written.fileno())
        beside.replace(place)
        copied += 1
    return copied, total


def _files_of(folder: Path) -> Iterator[Path]:
    """All but what is still on its way in."""
    on_the_way = {"incoming", "arrived"}
    for file in folder.rglob("*"):
        if file.is_file() and on_the_way.isdisjoint(file.relative_to(folder).parts) and file.suffix != ".part":
            yield file


def _copy_open_files(settings: Settings, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700)
    for name in OPEN_FILES:
        source = settings.home / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("*.key"))
        elif source.is_file():
            shutil.copyfile(source, target / name)


def _secret_files(settings: Settings) -> Iterator[tuple[str, bytes]]:
    for folder, pattern in ((settings.keys, "*"), (settings.tls, "*.key")):
        for file in sorted(folder.glob(pattern)):
            if file.is_file() and file.name != WITNESS:
                yield f"{folder.name}/{file.name}", file.read_bytes()


@dataclass(frozen=True, slots=True)
class Returned:
    """What a restore brought back, and what has to follow."""

    settings: Settings
    made: str
    rows: int
    with_keys: bool


def bring_back(folder: Path, home: Path, *, passphrase: str | None, database_url: str = "") -> Returned:
    """A new home from a backup. It serves only once the other hospitals were asked what it missed.

    `database_url` names another, empty PostgreSQL database than the one that the backup was made of.
    """
    about = _about(folder)
    assert about is not None
    if home.exists() and any(home.iterdir()):
        raise UnsafeSettings(f"{home} is not empty; restore into a new folder, nothing was changed")
    if about["keys"] and passphrase is None:
        raise UnsafeSettings("the keys in this backup need their passphrase: --passphrase-file")
    secrets = open_files(folder / KEYS, passphrase) if about["keys"] and passphrase is not None else {}
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copytree(folder / HOUSE, home, dirs_exist_ok=True)
    home.chmod(0o700)
    for name in ("keys", "tls", "drop", "spool", "run", "network", CONTENTS):
        (home / name).mkdir(mode=0o700, exist_ok=True)
    for name, content in secrets.items():
        write_whole(home / name, content)
    shutil.copytree(folder / CONTENTS, home / CONTENTS, dirs_exist_ok=True)
    if database_url:
        _point_to(home / "node.toml", database_url)
    settings = load(home)
    dumps.restore(folder, settings.database_url)
    rows = mark_returned(settings)
    return Returned(settings, str(about["made"]), rows, bool(secrets))


def _point_to(file: Path, database_url: str) -> None:
    text = file.read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("database_url")]
    lines.insert(lines.index("[node]") + 1, f"database_url = {json.dumps(database_url)}")
    file.write_text("\n".join(lines) + "\n", "utf-8")


def mark_returned(settings: Settings) -> int:
    """Write down, in the database itself, that it came back and has not caught up; returns its sealed rows."""
    storage = Storage(make_engine(settings.database_url))
    try:
        with storage.begin() as unit:
            last = unit.disclosures.last_seal()
            kept = last.size if last else 0
            now = datetime.now(UTC)
            unit.restores.add(Restore(now, kept))
            for one in unit.subscriptions.all(heard=True):
                unit.subscriptions.save(one.after_restore(now))
    finally:
        storage.close()
    # the head beside the keys is of the record that was lost; the others' heads say what was
    (settings.keys / WITNESS).unlink(missing_ok=True)
    if last is not None:
        write_whole(settings.keys / WITNESS, last.signature.encode("ascii"))
    return kept
