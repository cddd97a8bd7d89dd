"""HL7 v2 messages that had their effect, so that one that is sent again has none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "received_message",
        sa.Column("sender", KEY, nullable=False),
        sa.Column("control_id", KEY, nullable=False),
        sa.Column("digest", KEY, nullable=False),
        sa.Column("received", KEY, nullable=False),
        sa.PrimaryKeyConstraint("sender", "control_id", "digest", name="pk_received_message"),
    )
    op.create_index("ix_received_message_received", "received_message", ["received"], unique=False)
