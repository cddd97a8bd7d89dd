"""Verifications of the sealed record that somebody asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "record_check",
        sa.Column("id", KEY, nullable=False),
        sa.Column("asked", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_record_check"),
    )
    op.create_index("ix_record_check_asked", "record_check", ["asked"], unique=False)
