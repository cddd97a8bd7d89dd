"""Which study each SOP instance belongs to; images whose patient is in doubt."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    table = op.create_table(
        "study_instance",
        sa.Column("sop_instance_uid", KEY, nullable=False),
        sa.Column("study_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name="fk_study_instance_study_id_study"),
        sa.PrimaryKeyConstraint("sop_instance_uid", name="pk_study_instance"),
    )
    op.create_index("ix_study_instance_study_id", "study_instance", ["study_id"], unique=False)
    _place_known_instances(table)
    op.create_table(
        "quarantine",
        sa.Column("id", KEY, nullable=False),
        sa.Column("study_instance_uid", KEY, nullable=False),
        sa.Column("received", KEY, nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_quarantine"),
    )
    op.create_index("ix_quarantine_study_instance_uid", "quarantine", ["study_instance_uid"], unique=False)
    op.create_index("ix_quarantine_waits", "quarantine", ["waits"], unique=False)


def _place_known_instances(table: sa.Table) -> None:
    """The first study that listed an instance has it."""
    connection = op.get_bind()
    seen: set[str] = set()
    for study_id, body in connection.execute(sa.text("SELECT id, body FROM study ORDER BY id")).all():
        uids = [one[0] for series in json.loads(body).get("series", ()) for one in series.get("instances", ())]
        fresh = [{"sop_instance_uid": uid, "study_id": study_id} for uid in dict.fromkeys(uids) if uid not in seen]
        seen.update(uids)
        if fresh:
            connection.execute(table.insert(), fresh)
