"""Brings a database up to date, step by step; each step is one numbered file and one transaction.

What a node checks at its start (`current`, `expected`) needs no library; alembic is loaded only to change something.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text

from registry.blocking import KEYS_VERSION
from registry.errors import StorageUnavailable

_STEPS = Path(__file__).parent / "versions"
_ONE_AT_A_TIME = 0x68696520  # any number; all nodes' processes use the same

# an index without patients is that of every program
_EMPTY_INDEX = text(
    "UPDATE index_version SET version = :now WHERE version <> :now AND NOT EXISTS (SELECT 1 FROM source_record)"
)


def expected() -> str:
    """The version that this program needs: the number of the last step."""
    return max(step.name[:4] for step in _STEPS.glob("[0-9]*.py"))


def current(engine: Engine) -> str | None:
    """The version that the database has; None for an empty one."""
    with engine.execution_options(hie_writing=False).connect() as connection:
        return _current(connection)


def migrate(engine: Engine) -> None:
    """Apply the steps that are missing, all or none. Raises StorageUnavailable for a database of a newer program."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME})
        found = _current(connection)
        if found is not None and found > expected():
            raise StorageUnavailable("database", f"its version {found} is newer than this program's {expected()}")
        if found != expected():
            _upgrade(connection)
        connection.execute(_EMPTY_INDEX, {"now": KEYS_VERSION})


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(_STEPS.parent))

    def steps(revision: Any, _context: Any) -> Any:
        return script._upgrade_revs("head", revision)

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()
