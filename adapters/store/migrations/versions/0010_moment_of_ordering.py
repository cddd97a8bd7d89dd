"""The moment of ordering: last answers, cards and decisions; and when somebody at a page last proved who they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    # when somebody last proved who they are, and by what: emergency access and exports want it fresh
    op.add_column("house_session", sa.Column("proved", KEY, nullable=True))
    op.add_column("house_session", sa.Column("factor", KEY, nullable=True))
    op.create_table(
        "heard",
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("asked", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_record.id"], name="fk_heard_record_id"),
        sa.PrimaryKeyConstraint("record_id", "kind", name="pk_heard"),
    )
    op.create_index("ix_heard_asked", "heard", ["asked"], unique=False)
    for name, when in (("order_card", "given"), ("order_decision", "decided")):
        op.create_table(
            name,
            sa.Column("card", KEY, nullable=False),
            sa.Column(when, KEY, nullable=False),
            sa.Column("body", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint("card", name=f"pk_{name}"),
        )
        op.create_index(f"ix_{name}_{when}", name, [when], unique=False)
