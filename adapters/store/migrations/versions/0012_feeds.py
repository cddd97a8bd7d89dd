"""What the hospital's own systems sent, and patients whose referral was announced."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "feed_item",
        sa.Column("id", KEY, nullable=False),
        sa.Column("feed", KEY, nullable=False),
        sa.Column("received", KEY, nullable=False),
        sa.Column("outcome", KEY, nullable=False),
        sa.Column("digest", KEY, nullable=False),
        sa.Column("owner", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_feed_item"),
    )
    op.create_index("ix_feed_item_received", "feed_item", ["received"], unique=False)
    op.create_index("ix_feed_item_outcome_received", "feed_item", ["outcome", "received"], unique=False)
    op.create_index("ix_feed_item_digest", "feed_item", ["digest"], unique=False)
    op.create_table(
        "expected_patient",
        sa.Column("sender", KEY, nullable=False),
        sa.Column("number", KEY, nullable=False),
        sa.Column("received", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sender", "number", name="pk_expected_patient"),
    )
    op.create_index("ix_expected_patient_received", "expected_patient", ["received"], unique=False)
