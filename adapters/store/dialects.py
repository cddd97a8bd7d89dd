"""What the two databases say in words of their own. PostgreSQL's are loaded where it is spoken to: they are many."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite


def insert(table: Table, dialect: str) -> Any:
    """An insert that can say what happens where a unique column holds the value already (`ON CONFLICT`)."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    return sqlite.insert(table)
