"""Patients from abroad have keys of their own now; an index with patients is filled anew by the upgrade."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"

_KEYS_OF_NOW = 5


def upgrade() -> None:
    empty = "NOT EXISTS (SELECT 1 FROM source_record)"
    op.execute(sa.text(f"UPDATE index_version SET version = {_KEYS_OF_NOW} WHERE {empty}"))  # noqa: S608
