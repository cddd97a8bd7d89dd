"""Who learnt of which patient, and the notices when that patient turns out to be somebody else.

An empty index needs no filling by `hie upgrade`, whichever keys the program makes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")
_KEYS_OF_NOW = 3


def upgrade() -> None:
    op.create_table(
        "identity_learnt",
        sa.Column("home", KEY, nullable=False),
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("seen", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_record.id"], name="fk_identity_learnt_record_id_source_record"),
        sa.PrimaryKeyConstraint("home", "record_id", name="pk_identity_learnt"),
    )
    op.create_index("ix_identity_learnt_record_id", "identity_learnt", ["record_id"], unique=False)
    op.create_index("ix_identity_learnt_seen", "identity_learnt", ["seen"], unique=False)
    op.create_table(
        "identity_notice",
        sa.Column("id", KEY, nullable=False),
        sa.Column("made", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_identity_notice"),
    )
    op.create_index("ix_identity_notice_made", "identity_notice", ["made"], unique=False)
    empty = "NOT EXISTS (SELECT 1 FROM source_record)"
    op.execute(sa.text(f"UPDATE index_version SET version = {_KEYS_OF_NOW} WHERE {empty}"))  # noqa: S608
