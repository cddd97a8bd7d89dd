"""Questions for a patient that another hospital answers later."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "deferred_question",
        sa.Column("home", KEY, nullable=False),
        sa.Column("fingerprint", KEY, nullable=False),
        sa.Column("question_id", KEY, nullable=False),
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("expires", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("home", "fingerprint", name="pk_deferred_question"),
    )
    for column in ("question_id", "record_id", "expires"):
        op.create_index(f"ix_deferred_question_{column}", "deferred_question", [column], unique=False)
