"""A request and its answer, free of any web framework: what every language decodes from and encodes to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import parse_qsl

from registry.errors import TooLarge, Unreadable
from registry.identifiers import HomeCommunityId

Pairs = tuple[tuple[str, str], ...]
MOST_PARAMETERS = 200


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One request at a door, after authentication and before decoding.

    door      `house`, `peer` or `network` (the house door's federated base)
    target    path and query as they stood in the request line, not decoded: what a peer signs
    base      absolute URL of the base that was asked, without a slash at the end: links are built on it
    params    what the route's placeholders matched
    query     decoded pairs of the URL and, for a form, of the body: in order, repeated names kept
    headers   names in lower case
    body      readable once; `length` is what was announced
    home      this node's community
    seal_page makes an opaque token of search parameters that may not stand in a URL
    kept      what `decode` learnt and `encode` needs again: the order of a bundle's entries, warnings
    patient_id_system  assigning authority of this hospital's own patient numbers
    spool     folder for what is too large for memory while it is read; what lies there has no name and ends with it
    """

    method: str
    path: str
    door: str
    base: str
    home: HomeCommunityId
    params: Mapping[str, str] = field(default_factory=dict)
    query: Pairs = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: BinaryIO | None = None
    length: int = 0
    seal_page: Callable[[Pairs], str] | None = None
    kept: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    patient_id_system: str = ""
    target: str = ""
    spool: str = "/tmp"  # noqa: S108 (only files without a name)

    def header(self, name: str, default: str = "") -> str:
        return self.headers.get(name.lower(), default)

    def read(self, limit: int) -> bytes:
        """The whole body; raises TooLarge past `limit` bytes without having read more."""
        if self.body is None:
            return b""
        content = self.body.read(limit + 1)
        if len(content) > limit:
            raise TooLarge("request body", limit=limit)
        return content


def query_pairs(raw: str) -> Pairs:
    """The decoded parameters of a URL's query, in order. Raises Unreadable."""
    try:
        return tuple(parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS))
    except ValueError as error:
        raise Unreadable("query", f"not well-formed, or more than {MOST_PARAMETERS} parameters") from error


@dataclass(frozen=True, slots=True)
class WireResponse:
    """Status, headers, and a body that is either whole or flows."""

    status: int
    headers: Pairs = ()
    body: bytes | Iterator[bytes] = b""
