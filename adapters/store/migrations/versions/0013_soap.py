"""What SOAP looks for: folders by entryUUID, what peers listed by uniqueId, and the numbers that hospitals told."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

KEY = sa.Text().with_variant(sa.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("folder", sa.Column("entry_uuid", KEY, nullable=False, server_default=""))
    op.create_index("ix_folder_entry_uuid", "folder", ["entry_uuid"], unique=False)
    op.add_column("remote_entry", sa.Column("unique_id", KEY, nullable=True))
    op.create_index("ix_remote_entry_unique_id", "remote_entry", ["unique_id"], unique=False)
    op.create_table(
        "correlation",
        sa.Column("home", KEY, nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("expires", KEY, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("home", "told", "key", name="pk_correlation"),
    )
    op.create_index("ix_correlation_expires", "correlation", ["expires"], unique=False)
    _name_folders()


def _name_folders() -> None:
    """Folders of before get their entryUUID out of their body."""
    folder = sa.table("folder", sa.column("id"), sa.column("body"), sa.column("entry_uuid"))
    connection = op.get_bind()
    for row in connection.execute(sa.select(folder.c.id, folder.c.body)).all():
        uuid = json.loads(row.body).get("entry_uuid", "")
        connection.execute(folder.update().where(folder.c.id == row.id).values(entry_uuid=uuid))
