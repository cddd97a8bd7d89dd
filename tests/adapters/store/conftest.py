"""A storage on each kind of database, and the invented people and papers that these tests keep in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.store.contents import FolderContentStore
from adapters.store.engine import make_engine
from adapters.store.keys import PatientKeys
from adapters.store.unit import Storage
from tests.databases import database_url, empty_database_url, postgres, sqlite_template

__all__ = ["database_url", "empty_database_url", "postgres", "sqlite_template"]

KEY = bytes(range(32))


@pytest.fixture
def storage(database_url: str) -> Iterator[Storage]:
    made = Storage(make_engine(database_url), patience=5)
    yield made
    made.close()


@pytest.fixture
def sqlite_storage(tmp_path: Path, sqlite_template: Path) -> Iterator[Storage]:
    path = tmp_path / "keys.db"
    path.write_bytes(sqlite_template.read_bytes())
    made = Storage(make_engine(f"sqlite:///{path}"), patience=5)
    yield made
    made.close()


@pytest.fixture
def contents(tmp_path: Path, sqlite_storage: Storage) -> FolderContentStore:
    return FolderContentStore(tmp_path / "contents", PatientKeys(sqlite_storage, KEY))
