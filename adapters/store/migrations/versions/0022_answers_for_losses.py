"""Who answers for rows of the record that were lost when this node came back from an earlier day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column("restore", sa.Column("answer", sa.Text(), nullable=True))
