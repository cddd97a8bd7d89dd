"""Systems of this hospital as the administrator admitted them."""

from __future__ import annotations

from adapters.store.people import Client
from adapters.trust.scopes import granted
from adapters.trust.smart import RegisteredClient


def registered(client: Client | None) -> RegisteredClient | None:
    """A client as the administrator admitted it; None for one that is not, or no longer."""
    if client is None or client.disabled:
        return None
    return RegisteredClient(
        client.client_id,
        client.name,
        tuple(client.jwks["keys"]),
        granted(" ".join(client.scopes)),
        frozenset(client.purposes),
    )
