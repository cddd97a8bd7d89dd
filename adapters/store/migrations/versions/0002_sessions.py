"""Who is signed in at the pages, and how often a password was tried."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "house_session",
        sa.Column("id", KEY, nullable=False),
        sa.Column("username", KEY, nullable=False),
        sa.Column("started", KEY, nullable=False),
        sa.Column("seen", KEY, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_house_session"),
    )
    op.create_index("ix_house_session_seen", "house_session", ["seen"], unique=False)
    op.create_table(
        "login_try",
        sa.Column("name", KEY, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("since", KEY, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_login_try"),
    )
    op.create_index("ix_login_try_since", "login_try", ["since"], unique=False)
