"""A copy of the whole database of one moment while it is in use, and the way back.

SQLite: its online backup, one consistent file (sqlite.org/backup.html). PostgreSQL: pg_dump's own archive, in one
snapshot; the database's own programs have to be on this machine.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from registry.errors import InvalidValue, StorageUnavailable

SQLITE, POSTGRESQL = "database.sqlite", "database.pgdump"
_PAGES = 2000
"""Copied at once; between two such portions writers get their turn."""


def dump(database_url: str, folder: Path) -> Path:
    """Write the copy into the folder, whole or not at all; returns the file."""
    url = make_url(database_url)
    is_sqlite = url.get_backend_name() == "sqlite"
    place = folder / (SQLITE if is_sqlite else POSTGRESQL)
    beside = place.with_suffix(".part")
    beside.unlink(missing_ok=True)
    os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    if is_sqlite:
        _copied(Path(url.database or ""), beside)
    else:
        _run("pg_dump", url, "--format=custom", "--no-owner", "--no-acl", f"--file={beside}")
    _durable(beside)
    beside.replace(place)
    return place


def restore(folder: Path, database_url: str) -> None:
    """Bring the copy in the folder into an empty database, or a new file. Raises InvalidValue where it is in use."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        target = Path(url.database or "")
        if target.exists():
            raise InvalidValue("database", expected="none yet: this file is there, and nothing is overwritten")
        beside = target.with_suffix(".part")
        shutil.copyfile(_there(folder / SQLITE), beside)
        beside.chmod(0o600)
        _sound(beside)
        _durable(beside)
        beside.replace(target)
    else:
        options = ("--no-owner", "--no-acl", "--exit-on-error", "--single-transaction", f"--dbname={_dsn(url)}")
        _run("pg_restore", url, *options, str(_there(folder / POSTGRESQL)))


def _there(file: Path) -> Path:
    if not file.is_file():
        raise InvalidValue("backup", expected=f"{file.name}: it was made from another kind of database")
    return file


def _copied(source: Path, target: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as here,
            closing(sqlite3.connect(target)) as there,
        ):
            here.backup(there, pages=_PAGES, sleep=0.005)
            there.execute("PRAGMA journal_mode = DELETE")
        _sound(target)
    except sqlite3.Error as error:
        raise StorageUnavailable("database", getattr(error, "sqlite_errorname", "cannot be copied")) from error


def _sound(file: Path) -> None:
    """A damaged copy is found now and not on the day it is needed."""
    with closing(sqlite3.connect(file)) as connection:
        try:
            told = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            raise StorageUnavailable("database", "the copy is damaged") from error
    if told != ("ok",):
        raise StorageUnavailable("database", "the copy is damaged")


def _durable(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _dsn(url: URL) -> str:
    return url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)


def _run(program: str, url: URL, *arguments: str) -> None:
    """One of PostgreSQL's own programs; the password travels in the environment, where other users do not see it."""
    found = shutil.which(program) or next(
        (str(one) for one in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), reverse=True)), None
    )
    if found is None:
        raise StorageUnavailable("database", f"{program} is not on this machine: apt-get install postgresql-client")
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    command = [found, *arguments, *([_dsn(url)] if program == "pg_dump" else [])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise StorageUnavailable("database", f"{program}: {reason}")
