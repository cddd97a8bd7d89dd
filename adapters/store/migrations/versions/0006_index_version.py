"""Which way of making blocking keys the index was filled with, so that an upgrade can fill it anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")
_OF_BEFORE, _OF_NOW = 1, 2


def upgrade() -> None:
    table = op.create_table(
        "index_version",
        sa.Column("name", KEY, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_index_version"),
    )
    filled = op.get_bind().execute(sa.text("SELECT 1 FROM source_record LIMIT 1")).first() is not None
    op.bulk_insert(table, [{"name": "blocking_key", "version": _OF_BEFORE if filled else _OF_NOW}])
