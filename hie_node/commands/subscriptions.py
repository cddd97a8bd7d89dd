"""subscriptions: which systems have themselves told, and how far the telling has come."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import typer

from hie_node.commands.output import Json, open_house, show, table


def add_to(app: typer.Typer) -> None:
    app.command()(subscriptions)


def subscriptions(as_json: Json = False) -> None:
    """Who has themselves told of new documents, how many events wait for them, and whose endpoint does not answer."""
    house = open_house()
    with house.storage.read() as unit:
        found = [*unit.subscriptions.all(heard=True), *unit.subscriptions.all(heard=False)]
    document: list[dict[str, Any]] = [
        {
            "id": one.id,
            "system": one.client_id,
            "topic": one.topic.title,
            # of the address the place alone: what follows may be a secret
            "endpoint": urlsplit(one.channel.endpoint).netloc,
            "status": one.status.value,
            "happened": one.delivery.happened,
            "told": one.delivery.acknowledged,
            "failing_since": one.delivery.failing_since.isoformat() if one.delivery.failing_since else None,
            "error": one.error or None,
        }
        for one in found
    ]
    head = ["id", "system", "topic", "endpoint", "status", "happened", "told", "failing since", "error"]
    show(document, table([list(one.values()) for one in document], head=head), as_json=as_json)
