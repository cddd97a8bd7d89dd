"""Emergencies under review, heads of other hospitals' records, alarms, deliveries; who and where of each disclosure."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")

_REFUSAL = "the record of disclosures is never changed"
_SQLITE_TRIGGER = f"""CREATE TRIGGER disclosure_unchanged BEFORE UPDATE ON disclosure
    WHEN old.position IS NOT NULL OR (new.number, new.id, new.recorded, new.body)
        IS NOT (old.number, old.id, old.recorded, old.body) OR new.record_id IS NOT old.record_id
        OR new.subject IS NOT old.subject OR new.other IS NOT old.other
    BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"""
_POSTGRESQL_TRIGGER = """CREATE TRIGGER disclosure_unchanged BEFORE UPDATE ON disclosure FOR EACH ROW
    WHEN (old.position IS NOT NULL
        OR (new.number, new.id, new.recorded, new.body, new.record_id, new.subject, new.other)
        IS DISTINCT FROM (old.number, old.id, old.recorded, old.body, old.record_id, old.subject, old.other))
    EXECUTE FUNCTION refuse_change()"""


def upgrade() -> None:
    _emergencies()
    _heads_and_alarms()
    _who_and_where()


def _emergencies() -> None:
    op.create_table(
        "emergency",
        sa.Column("id", KEY, nullable=False),
        sa.Column("record_id", KEY),
        sa.Column("ends", KEY, nullable=False),
        sa.Column("due", KEY, nullable=False),
        sa.Column("reviewed", KEY),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_record.id"], name="fk_emergency_record_id"),
        sa.PrimaryKeyConstraint("id", name="pk_emergency"),
    )
    op.create_index("ix_emergency_record_id_ends", "emergency", ["record_id", "ends"], unique=False)
    op.create_index("ix_emergency_reviewed_due", "emergency", ["reviewed", "due"], unique=False)


def _heads_and_alarms() -> None:
    op.create_table(
        "kept_head",
        sa.Column("home", KEY, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", KEY, nullable=False),
        sa.Column("kept", KEY, nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("home", "size", "root", name="pk_kept_head"),
    )
    op.create_table(
        "cosignature",
        sa.Column("keeper", KEY, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("keeper", name="pk_cosignature"),
    )
    op.create_table(
        "alarm",
        sa.Column("id", KEY, nullable=False),
        sa.Column("raised", KEY, nullable=False),
        sa.Column("cleared", KEY),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alarm"),
    )
    op.create_index("ix_alarm_cleared_raised", "alarm", ["cleared", "raised"], unique=False)
    op.create_table(
        "breadth",
        sa.Column("about", KEY, nullable=False),
        sa.Column("day", KEY, nullable=False),
        sa.Column("patients", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("about", "day", name="pk_breadth"),
    )
    op.create_table(
        "restore",
        sa.Column("restored", KEY, nullable=False),
        sa.Column("kept", sa.BigInteger(), nullable=False),
        sa.Column("caught_up", KEY),
        sa.PrimaryKeyConstraint("restored", name="pk_restore"),
    )
    op.create_table(
        "delivery",
        sa.Column("name", KEY, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_delivery"),
    )


def _who_and_where() -> None:
    """Beside each row, by whom it was and which hospital stood on the other side, read from what was sealed."""
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    op.add_column("disclosure", sa.Column("subject", KEY))
    op.add_column("disclosure", sa.Column("other", KEY))
    op.execute("DROP TRIGGER disclosure_unchanged" + (" ON disclosure" if on_postgresql else ""))
    subject, other = (
        ("body::json #>> '{requester,subject}'", "body::json ->> 'other'")
        if on_postgresql
        else ("json_extract(body, '$.requester.subject')", "json_extract(body, '$.other')")
    )
    op.execute(f"UPDATE disclosure SET subject = {subject}, other = {other}")  # noqa: S608 - our own words
    op.execute(_POSTGRESQL_TRIGGER if on_postgresql else _SQLITE_TRIGGER)
    op.create_index("ix_disclosure_subject_recorded", "disclosure", ["subject", "recorded"], unique=False)
    op.create_index("ix_disclosure_other_recorded", "disclosure", ["other", "recorded"], unique=False)
