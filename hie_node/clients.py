"""A system of this hospital as the administrator admitted it, for whoever checks its tokens."""

from __future__ import annotations

from adapters.store.people import Client
from adapters.trust.scopes import granted
from adapters.trust.smart import RegisteredClient


def registered(client: Client | None) -> RegisteredClient | None:
    """None for one that is not admitted, or not any more."""
    if client is None or client.disabled:
        return None
    return RegisteredClient(
        client.client_id,
        client.name,
        tuple(client.jwks["keys"]),
        granted(" ".join(client.scopes)),
        frozenset(client.purposes),
    )
