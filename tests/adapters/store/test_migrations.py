"""A database comes up to date by itself, and is refused where it is ahead."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from adapters.store.engine import make_engine
from adapters.store.migrations import current, expected, migrate
from adapters.store.schema import metadata
from registry.errors import StorageUnavailable


def test_an_empty_database_gets_exactly_the_tables_of_the_program(empty_database_url: str) -> None:
    engine = make_engine(empty_database_url)
    assert current(engine) is None
    migrate(engine)
    migrate(engine)
    assert current(engine) == expected()
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        found = inspect(connection)
        for table in metadata.tables.values():
            assert {index["name"] for index in found.get_indexes(table.name)} >= {one.name for one in table.indexes}
            assert found.get_pk_constraint(table.name)["name"] == table.primary_key.name
    engine.dispose()


def test_processes_that_start_together_migrate_once(empty_database_url: str) -> None:
    engines = [make_engine(empty_database_url) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(migrate, engines))
    assert {current(engine) for engine in engines} == {expected()}
    for engine in engines:
        engine.dispose()


def test_a_step_that_breaks_off_leaves_the_database_as_it_was(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE visit (id INTEGER)"))  # in the way of the last table
    with pytest.raises(Exception, match="visit"):
        migrate(engine)
    assert current(engine) is None
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["visit"]
    engine.dispose()


def test_a_database_of_a_newer_program_is_left_alone(database_url: str) -> None:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageUnavailable, match="newer"):
        migrate(engine)
    engine.dispose()


def test_a_start_does_not_load_what_only_a_migration_needs() -> None:
    program = (
        "import sys, adapters.store.unit; from adapters.store.migrations import expected;"
        "expected(); sys.exit('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": ":".join(sys.path)}, timeout=30, check=False
    )
    assert done.returncode == 0
