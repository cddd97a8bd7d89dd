"""Real databases for tests: a file for SQLite, and a PostgreSQL cluster of Debian's own programs on a Unix socket.

One cluster for each test process, started when it is first asked for; one database for each test, copied from a
template that the migrations made.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from adapters.store.engine import make_engine
from adapters.store.migrations import migrate

_TEMPLATE = "hie_template"
# the tests kill our own processes, never PostgreSQL, so its fsync proves nothing here
_SETTINGS = ("-F", "-c", "listen_addresses=", "-c", "max_connections=60", "-c", "shared_buffers=16MB")


class PostgresCluster:
    """A running PostgreSQL that nobody else can reach."""

    def __init__(self) -> None:
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
        if not programs:
            pytest.fail("PostgreSQL is needed for these tests: apt-get install postgresql")
        self._bin = programs[-1].parent
        # an unprivileged user when root, since PostgreSQL refuses to run as root
        self._user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
        self._folder = Path(tempfile.mkdtemp(prefix="hie-pg-"))
        os.chown(self._folder, self._user, -1)
        self._names = count()
        self._run("initdb", "-D", "data", "--no-sync", "-A", "trust", "-U", "hie", "-E", "UTF8", "--locale=C.UTF-8")
        options = " ".join((*_SETTINGS, "-k", str(self._folder)))
        self._run("pg_ctl", "-D", "data", "-w", "-s", "-l", "log", "-o", options, "start")
        self._sql(f"CREATE DATABASE {_TEMPLATE}")
        engine = make_engine(self._url(_TEMPLATE))
        migrate(engine)
        engine.dispose()

    def empty(self) -> str:
        """The URL of a new database without tables."""
        return self._create("template0")

    def migrated(self) -> str:
        """The URL of a new database that is up to date."""
        return self._create(_TEMPLATE)

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-s", "-m", "immediate", "stop")
        shutil.rmtree(self._folder)

    def _create(self, template: str) -> str:
        name = f"test_{next(self._names)}"
        self._sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql://hie@/{name}?host={self._folder}"

    def _sql(self, statement: str) -> None:
        with psycopg.connect(f"host={self._folder} user=hie dbname=postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments],
            check=False,
            cwd=self._folder,
            user=self._user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        if done.returncode:
            pytest.fail(f"{program}: {done.stderr}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    cluster = PostgresCluster()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "node.db"
    engine = make_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that is up to date and empty; the test runs once on each kind."""
    if request.param == "postgresql":
        cluster: PostgresCluster = request.getfixturevalue("postgres")
        return cluster.migrated()
    path = tmp_path / "node.db"
    shutil.copy(request.getfixturevalue("sqlite_template"), path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table; the test runs once on each kind."""
    if request.param == "postgresql":
        cluster: PostgresCluster = request.getfixturevalue("postgres")
        return cluster.empty()
    return f"sqlite:///{tmp_path / 'node.db'}"
