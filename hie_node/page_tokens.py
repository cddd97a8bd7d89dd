"""A search that may not stand in a URL, as an opaque token in the link to its next page: nothing is kept for it."""

from __future__ import annotations

import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.wire import Pairs
from hie_node.house import House
from registry.errors import Unreadable

PAGE_LIFE = 600
"""Seconds that a link to the next page works: long enough to read a page, short enough to forget."""


def seal_page(house: House, pairs: Pairs, *, use: bytes = b"page", life: int = PAGE_LIFE) -> str:
    """The token of these parameters, good for one use only. Source: AES-256-GCM with a random nonce."""
    nonce = secrets.token_bytes(12)
    content = json.dumps([int(house.now().timestamp()) + life, list(pairs)], ensure_ascii=False).encode()
    return urlsafe_b64encode(nonce + AESGCM(house.page_key).encrypt(nonce, content, use)).decode().rstrip("=")


def open_page(house: House, token: str, *, use: bytes = b"page") -> Pairs:
    """The parameters that a token stands for; raises Unreadable when it is not ours or too old."""
    try:
        sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        expires, pairs = json.loads(AESGCM(house.page_key).decrypt(sealed[:12], sealed[12:], use))
    except (ValueError, InvalidTag) as error:
        raise Unreadable("_page", "this link is not from this node") from error
    if expires < house.now().timestamp():
        raise Unreadable("_page", "this link is too old; ask again")
    return tuple((name, value) for name, value in pairs)
