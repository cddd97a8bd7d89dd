"""HL7 messages in files: one or many, with or without batch headers (FHS, BHS) or the frames of MLLP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

_START = re.compile(rb"(?:^|(?<=[\r\n\x0b]))MSH(?=[^\w\s])")
_AFTER = re.compile(rb"(?:^|(?<=[\r\n]))(?:BTS|FTS|BHS|FHS)[^\r\n]*")


def iter_messages(data: bytes) -> Iterator[bytes]:
    """Each message from its header to the next one."""
    starts = [found.start() for found in _START.finditer(data)]
    for start, end in pairwise([*starts, len(data)]):
        message = _AFTER.sub(b"", data[start:end])
        yield message.strip(b"\x0b\x1c\r\n \t") + b"\r"
