"""How each hospital answered, question by question."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "peer_answer",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("home", KEY, nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("at", KEY, nullable=False),
        sa.Column("milliseconds", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_peer_answer"),
    )
    op.create_index("ix_peer_answer_home_number", "peer_answer", ["home", "number"], unique=False)
