"""The first item with the same bytes is found at once, however often a system sends them."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.drop_index("ix_feed_item_digest", table_name="feed_item")
    op.create_index("ix_feed_item_digest_received", "feed_item", ["digest", "received"], unique=False)
