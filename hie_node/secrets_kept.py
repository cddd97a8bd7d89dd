"""Secrets of others that this node has to keep and use: sealed, so that a copy of the database holds none of them."""

from __future__ import annotations

import base64
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hie_node.house import House


def sealed(house: House, secret: str, *, use: bytes) -> str:
    """As it is stored, good for one use only. Source: AES-256-GCM with a random nonce."""
    nonce = secrets.token_bytes(12)
    return base64.b64encode(nonce + AESGCM(house.page_key).encrypt(nonce, secret.encode(), use)).decode()


def opened(house: House, text: str, *, use: bytes) -> str | None:
    """The secret; None where it was sealed with another key or for another use."""
    content = base64.b64decode(text)
    try:
        return AESGCM(house.page_key).decrypt(content[:12], content[12:], use).decode()
    except InvalidTag:
        return None
