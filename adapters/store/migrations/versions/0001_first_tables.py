"""The first tables, and the triggers that keep the record of disclosures as it was written."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_REFUSAL = "the record of disclosures is never changed"
_SQLITE_TRIGGERS = (
    f"""CREATE TRIGGER disclosure_kept BEFORE DELETE ON disclosure
        BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END""",
    f"""CREATE TRIGGER disclosure_unchanged BEFORE UPDATE ON disclosure
        WHEN old.position IS NOT NULL OR (new.number, new.id, new.recorded, new.body)
            IS NOT (old.number, old.id, old.recorded, old.body) OR new.record_id IS NOT old.record_id
        BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END""",
    f"""CREATE TRIGGER seal_kept BEFORE DELETE ON seal
        BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END""",
    f"""CREATE TRIGGER seal_unchanged BEFORE UPDATE ON seal
        BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END""",
)
_POSTGRESQL_TRIGGERS = (
    f"""CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION '{_REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    """CREATE TRIGGER disclosure_kept BEFORE DELETE ON disclosure
        FOR EACH ROW EXECUTE FUNCTION refuse_change()""",
    """CREATE TRIGGER disclosure_unchanged BEFORE UPDATE ON disclosure FOR EACH ROW
        WHEN (old.position IS NOT NULL OR (new.number, new.id, new.recorded, new.body, new.record_id)
            IS DISTINCT FROM (old.number, old.id, old.recorded, old.body, old.record_id))
        EXECUTE FUNCTION refuse_change()""",
    """CREATE TRIGGER disclosure_not_emptied BEFORE TRUNCATE ON disclosure
        EXECUTE FUNCTION refuse_change()""",
    """CREATE TRIGGER seal_kept BEFORE DELETE OR UPDATE ON seal
        FOR EACH ROW EXECUTE FUNCTION refuse_change()""",
    """CREATE TRIGGER seal_not_emptied BEFORE TRUNCATE ON seal
        EXECUTE FUNCTION refuse_change()""",
)


def upgrade() -> None:
    _create_tables()
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    for trigger in _POSTGRESQL_TRIGGERS if is_postgresql else _SQLITE_TRIGGERS:
        op.execute(trigger)


def _create_tables() -> None:
    op.create_table(
        "assigning_authority",
        sa.Column("system", KEY, nullable=False),
        sa.PrimaryKeyConstraint("system", name="pk_assigning_authority"),
    )

    op.create_table(
        "blocking_key",
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("record_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", "record_number", name="pk_blocking_key"),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "disclosure",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("record_id", KEY, nullable=True),
        sa.Column("recorded", KEY, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_disclosure"),
        sa.UniqueConstraint("id", name="uq_disclosure_id"),
        sa.UniqueConstraint("position", name="uq_disclosure_position"),
    )
    op.create_index("ix_disclosure_record_id_recorded", "disclosure", ["record_id", "recorded"], unique=False)
    op.create_index("ix_disclosure_recorded", "disclosure", ["recorded"], unique=False)
    op.create_index(
        "ix_disclosure_unsealed",
        "disclosure",
        ["number"],
        unique=False,
        sqlite_where=sa.text("position IS NULL"),
        postgresql_where=sa.text("position IS NULL"),
    )

    op.create_table(
        "house_client",
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", name="pk_house_client"),
    )

    op.create_table(
        "house_user",
        sa.Column("username", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("username", name="pk_house_user"),
    )

    op.create_table(
        "job",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("run_at", KEY, nullable=False),
        sa.Column("leased_until", KEY, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("dedup_key", KEY, nullable=True),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
        sa.UniqueConstraint("dedup_key", name="uq_job_dedup_key"),
    )
    op.create_index("ix_job_run_at", "job", ["run_at"], unique=False)

    op.create_table(
        "name_word",
        sa.Column("word", KEY, nullable=False),
        sa.Column("record_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("word", "record_number", name="pk_name_word"),
        sqlite_with_rowid=False,
    )

    op.create_table(
        "patient_key",
        sa.Column("owner", KEY, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(wrapped) = 60", name="ck_patient_key_wrapped_length"),
        sa.PrimaryKeyConstraint("owner", name="pk_patient_key"),
    )

    op.create_table(
        "receipt",
        sa.Column("id", KEY, nullable=False),
        sa.Column("signer", KEY, nullable=False),
        sa.Column("issued", KEY, nullable=False),
        sa.Column("kept", KEY, nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_receipt"),
    )

    op.create_table(
        "receipt_holder",
        sa.Column("receipt_id", KEY, nullable=False),
        sa.Column("home", KEY, nullable=False),
        sa.PrimaryKeyConstraint("receipt_id", "home", name="pk_receipt_holder"),
    )

    op.create_table(
        "receipt_withdrawal",
        sa.Column("receipt_id", KEY, nullable=False),
        sa.Column("signer", KEY, nullable=False),
        sa.Column("withdrawn", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("receipt_id", "signer", name="pk_receipt_withdrawal"),
    )

    op.create_table(
        "remote_entry",
        sa.Column("id", KEY, nullable=False),
        sa.Column("study_instance_uid", KEY, nullable=True),
        sa.Column("seen", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_remote_entry"),
    )
    op.create_index("ix_remote_entry_seen", "remote_entry", ["seen"], unique=False)
    op.create_index("ix_remote_entry_study_instance_uid", "remote_entry", ["study_instance_uid"], unique=False)

    op.create_table(
        "review",
        sa.Column("id", KEY, nullable=False),
        sa.Column("opened", KEY, nullable=False),
        sa.Column("closed", KEY, nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_review"),
    )
    op.create_index("ix_review_closed_opened", "review", ["closed", "opened"], unique=False)

    op.create_table(
        "seal",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_seal"),
    )

    op.create_table(
        "source_record",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("system", KEY, nullable=False),
        sa.Column("value", KEY, nullable=False),
        sa.Column("person_id", KEY, nullable=False),
        sa.Column("birth_year", sa.Integer(), nullable=True),
        sa.Column("folded_name", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_source_record"),
        sa.UniqueConstraint("id", name="uq_source_record_id"),
    )
    op.create_index("ix_source_record_person_id", "source_record", ["person_id"], unique=False)
    op.create_index("uq_source_record_system_value", "source_record", ["system", "value"], unique=True)

    op.create_table(
        "spent_token",
        sa.Column("issuer", KEY, nullable=False),
        sa.Column("token_id", KEY, nullable=False),
        sa.Column("expires", KEY, nullable=False),
        sa.PrimaryKeyConstraint("issuer", "token_id", name="pk_spent_token"),
    )
    op.create_index("ix_spent_token_expires", "spent_token", ["expires"], unique=False)

    op.create_table(
        "submission_set",
        sa.Column("id", KEY, nullable=False),
        sa.Column("entry_uuid", KEY, nullable=False),
        sa.Column("unique_id", KEY, nullable=False),
        sa.Column("record_id", KEY, nullable=True),
        sa.Column("submitted", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_submission_set"),
        sa.UniqueConstraint("unique_id", name="uq_submission_set_unique_id"),
    )
    op.create_index("ix_submission_set_entry_uuid", "submission_set", ["entry_uuid"], unique=False)
    op.create_index(
        "ix_submission_set_newest",
        "submission_set",
        ["record_id", sa.literal_column("submitted DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_submission_set_submitted",
        "submission_set",
        [sa.literal_column("submitted DESC"), sa.literal_column("id DESC")],
        unique=False,
    )

    op.create_table(
        "consent",
        sa.Column("id", KEY, nullable=False),
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("status", KEY, nullable=False),
        sa.Column("given", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_record.id"], name="fk_consent_record_id"),
        sa.PrimaryKeyConstraint("id", name="pk_consent"),
    )
    op.create_index("ix_consent_record_id", "consent", ["record_id"], unique=False)

    op.create_table(
        "document",
        sa.Column("id", KEY, nullable=False),
        sa.Column("entry_uuid", KEY, nullable=False),
        sa.Column("unique_id", KEY, nullable=False),
        sa.Column("source_key", KEY, nullable=True),
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("status", KEY, nullable=False),
        sa.Column("performed", KEY, nullable=False),
        sa.Column("sensitivity", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_record.id"], name="fk_document_record_id"),
        sa.PrimaryKeyConstraint("id", name="pk_document"),
        sa.UniqueConstraint("entry_uuid", name="uq_document_entry_uuid"),
        sa.UniqueConstraint("source_key", name="uq_document_source_key"),
        sa.UniqueConstraint("unique_id", name="uq_document_unique_id"),
    )
    op.create_index("ix_document_counts", "document", ["record_id", "status", "sensitivity"], unique=False)
    op.create_index(
        "ix_document_newest",
        "document",
        ["record_id", sa.literal_column("performed DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_document_performed",
        "document",
        [sa.literal_column("performed DESC"), sa.literal_column("id DESC")],
        unique=False,
    )

    op.create_table(
        "folder",
        sa.Column("id", KEY, nullable=False),
        sa.Column("unique_id", KEY, nullable=False),
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("updated", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_record.id"], name="fk_folder_record_id"),
        sa.PrimaryKeyConstraint("id", name="pk_folder"),
        sa.UniqueConstraint("unique_id", name="uq_folder_unique_id"),
    )
    op.create_index(
        "ix_folder_newest",
        "folder",
        ["record_id", sa.literal_column("updated DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_folder_updated", "folder", [sa.literal_column("updated DESC"), sa.literal_column("id DESC")], unique=False
    )

    op.create_table(
        "link",
        sa.Column("id", KEY, nullable=False),
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("person_id", KEY, nullable=False),
        sa.Column("created", KEY, nullable=False),
        sa.Column("undone", KEY, nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_record.id"], name="fk_link_record_id"),
        sa.PrimaryKeyConstraint("id", name="pk_link"),
    )
    op.create_index("ix_link_person_id", "link", ["person_id"], unique=False)
    op.create_index("ix_link_record_id", "link", ["record_id"], unique=False)

    op.create_table(
        "referral",
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("sender", KEY, nullable=False),
        sa.Column("number", KEY, nullable=False),
        sa.Column("signed", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_record.id"], name="fk_referral_record_id"),
        sa.PrimaryKeyConstraint("record_id", "sender", "number", name="pk_referral"),
    )

    op.create_table(
        "source_record_version",
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_record.id"], name="fk_source_record_version_record_id"),
        sa.PrimaryKeyConstraint("record_id", "version", name="pk_source_record_version"),
    )

    op.create_table(
        "study",
        sa.Column("id", KEY, nullable=False),
        sa.Column("study_instance_uid", KEY, nullable=False),
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("started", KEY, nullable=False),
        sa.Column("sensitivity", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_record.id"], name="fk_study_record_id"),
        sa.PrimaryKeyConstraint("id", name="pk_study"),
        sa.UniqueConstraint("study_instance_uid", name="uq_study_study_instance_uid"),
    )
    op.create_index(
        "ix_study_newest",
        "study",
        ["record_id", sa.literal_column("started DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index(
        "ix_study_started", "study", [sa.literal_column("started DESC"), sa.literal_column("id DESC")], unique=False
    )

    op.create_table(
        "visit",
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("source", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_record.id"], name="fk_visit_record_id"),
        sa.PrimaryKeyConstraint("record_id", "key", name="pk_visit"),
    )

    op.create_table(
        "consent_version",
        sa.Column("consent_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["consent_id"], ["consent.id"], name="fk_consent_version_consent_id"),
        sa.PrimaryKeyConstraint("consent_id", "version", name="pk_consent_version"),
    )
