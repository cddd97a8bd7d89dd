"""What was removed, and studies by the ids of their manifests."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "removed_document",
        sa.Column("id", KEY, nullable=False),
        sa.Column("unique_id", KEY, nullable=False),
        sa.Column("record_id", KEY, nullable=False),
        sa.Column("removed", KEY, nullable=False),
        sa.Column("content_hash", KEY, nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["source_record.id"], name="fk_removed_document_record_id"),
        sa.PrimaryKeyConstraint("id", name="pk_removed_document"),
    )
    op.create_index("ix_removed_document_unique_id", "removed_document", ["unique_id"], unique=False)
    op.create_index("ix_removed_document_record_id", "removed_document", ["record_id"], unique=False)
    op.add_column("study", sa.Column("manifest_key", KEY, nullable=False, server_default=""))
    op.create_index("ix_study_manifest_key", "study", ["manifest_key"], unique=False)
    _name_studies()


def _name_studies() -> None:
    """Studies of before get the key by which the id of a manifest leads to them."""
    study = sa.table("study", sa.column("id"), sa.column("study_instance_uid"), sa.column("manifest_key"))
    connection = op.get_bind()
    for row in connection.execute(sa.select(study.c.id, study.c.study_instance_uid)).all():
        digest = hashlib.sha256(row.study_instance_uid.encode()).digest()
        key = f"{int.from_bytes(digest[:8], 'big') >> 4:015x}"
        connection.execute(study.update().where(study.c.id == row.id).values(manifest_key=key))
