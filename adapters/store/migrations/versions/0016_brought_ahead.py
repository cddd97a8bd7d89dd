"""Copies that are brought ahead of referred patients, apart from this hospital's own records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "ahead",
        sa.Column("id", KEY, nullable=False),
        sa.Column("sender", KEY, nullable=False),
        sa.Column("number", KEY, nullable=False),
        sa.Column("expires", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ahead"),
    )
    op.create_index("ix_ahead_expires", "ahead", ["expires"], unique=False)
    op.create_index("ix_ahead_sender_number", "ahead", ["sender", "number"], unique=True)
    op.create_table(
        "ahead_item",
        sa.Column("owner", KEY, nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("study", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "kind", "key", name="pk_ahead_item"),
    )
    op.create_index("ix_ahead_item_key_kind", "ahead_item", ["key", "kind"], unique=False)
    op.create_index("ix_ahead_item_study_kind", "ahead_item", ["study", "kind"], unique=False)
