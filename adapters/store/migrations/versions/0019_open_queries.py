"""Queries whose answer is fetched in parts; documents of other hospitals by their entryUUID."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "open_query",
        sa.Column("asker", KEY, nullable=False),
        sa.Column("query_id", KEY, nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("expires", KEY, nullable=False),
        sa.PrimaryKeyConstraint("asker", "query_id", name="pk_open_query"),
    )
    op.create_index("ix_open_query_expires", "open_query", ["expires"], unique=False)
    op.add_column("remote_entry", sa.Column("entry_uuid", KEY, nullable=True))
    op.create_index("ix_remote_entry_entry_uuid", "remote_entry", ["entry_uuid"], unique=False)
