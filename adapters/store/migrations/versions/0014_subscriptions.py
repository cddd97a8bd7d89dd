"""Standing questions and what happened for them, and documents and folders as they were before they changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "earlier_version",
        sa.Column("kind", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("entry_uuid", KEY, nullable=False),
        sa.Column("unique_id", KEY, nullable=False),
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", "version", name="pk_earlier_version"),
    )
    for column in ("entry_uuid", "unique_id", "record_id"):
        op.create_index(f"ix_earlier_version_{column}", "earlier_version", [column], unique=False)
    op.create_table(
        "subscription",
        sa.Column("id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("heard", sa.Boolean(), nullable=False),
        sa.Column("record_id", KEY, nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subscription"),
    )
    op.create_index("ix_subscription_client_id", "subscription", ["client_id"], unique=False)
    op.create_index(
        "ix_subscription_heard_kind_record_id", "subscription", ["heard", "kind", "record_id"], unique=False
    )
    op.create_table(
        "subscription_event",
        sa.Column("subscription_id", KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("occurred", KEY, nullable=False),
        sa.Column("focus", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("subscription_id", "number", name="pk_subscription_event"),
    )
    op.create_index("ix_subscription_event_occurred", "subscription_event", ["occurred"], unique=False)
    op.create_index("ix_subscription_event_record_id", "subscription_event", ["record_id"], unique=False)
    op.create_index(
        "uq_subscription_event_focus", "subscription_event", ["subscription_id", "focus", "version"], unique=True
    )
