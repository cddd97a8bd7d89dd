"""Reports and images that may belong together, and files that nobody could place: what a registrar said of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "pair_doubt",
        sa.Column("id", KEY, nullable=False),
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("study_id", KEY, nullable=False),
        sa.Column("document_id", KEY, nullable=False),
        sa.Column("decision", KEY, nullable=False),
        sa.Column("changed", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_record.id"], name="fk_pair_doubt_record_id"),
        sa.PrimaryKeyConstraint("id", name="pk_pair_doubt"),
    )
    for column in ("study_id", "document_id"):
        op.create_index(f"ix_pair_doubt_{column}", "pair_doubt", [column], unique=False)
    op.create_index("ix_pair_doubt_decision", "pair_doubt", ["decision", "changed"], unique=False)
    op.create_table(
        "file_decision",
        sa.Column("id", KEY, nullable=False),
        sa.Column("record_id", KEY, nullable=True),
        sa.Column("decided", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_record.id"], name="fk_file_decision_record_id"),
        sa.PrimaryKeyConstraint("id", name="pk_file_decision"),
    )
    op.create_index("ix_file_decision_decided", "file_decision", ["decided"], unique=False)
