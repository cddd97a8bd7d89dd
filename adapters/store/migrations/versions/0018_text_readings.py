"""Texts that a person has read, and an index of documents that carry a label."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "text_reading",
        sa.Column("record_id", KEY, sa.ForeignKey("source_record.id"), nullable=False),
        sa.Column("content_hash", KEY, nullable=False),
        sa.Column("document_id", KEY, nullable=False),
        sa.Column("finding", KEY, nullable=False),
        sa.Column("read", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("record_id", "content_hash", name="pk_text_reading"),
    )
    op.create_index("ix_text_reading_document_id", "text_reading", ["document_id"], unique=False)
    op.create_index("ix_text_reading_read", "text_reading", ["read"], unique=False)
    newest, labelled = [sa.text("performed DESC"), sa.text("id DESC")], sa.text("sensitivity <> '[]'")
    op.create_index("ix_document_labelled", "document", newest, sqlite_where=labelled, postgresql_where=labelled)
