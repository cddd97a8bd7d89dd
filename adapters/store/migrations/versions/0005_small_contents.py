"""Documents of a few kilobytes stand in the database; files that are there stay where they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "small_content",
        sa.Column("owner", KEY, nullable=False),
        sa.Column("content_hash", KEY, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "content_hash", name="pk_small_content"),
    )
