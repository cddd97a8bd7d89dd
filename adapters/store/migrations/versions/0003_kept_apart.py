"""Who was decided to be two people: never linked by a rule again, and never asked again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "kept_apart",
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("other_id", KEY, nullable=False),
        sa.Column("decided", KEY, nullable=False),
        sa.Column("author", KEY, nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_record.id"], name="fk_kept_apart_record_id"),
        sa.ForeignKeyConstraint(["other_id"], ["source_record.id"], name="fk_kept_apart_other_id"),
        sa.PrimaryKeyConstraint("record_id", "other_id", name="pk_kept_apart"),
    )
