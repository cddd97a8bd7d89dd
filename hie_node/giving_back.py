"""Memory that the start used and that nothing needs again goes back to the system before the processes part.

What the parent only holds is counted for the node as long as it runs; and what the allocator has not put in order yet
each child would put in order in a copy of its own.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

MADV_DONTNEED = 4
_REGION = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \d+ *(.*)")
_SORTED_FOR = 100_000
"""A request of so many bytes makes glibc sort all free pieces that `malloc_trim` has joined, and leaves them alone."""


def give_back() -> None:
    """Where the C library is not glibc, only what it can do."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
        bytes(_SORTED_FOR)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in _unchanged_code():
        libc.madvise(start, end - start, MADV_DONTNEED)


def _unchanged_code() -> Iterator[tuple[int, int]]:
    """Where libraries lie as their files do, code and constants: whoever needs a page again has it from the file.

    Never what the linker has changed, though it may not be written to any more: it would be as in the file.
    """
    place = None
    for line in Path("/proc/self/smaps").read_text("utf-8").splitlines():
        if found := _REGION.match(line):
            is_file, may_change = found[4].startswith("/"), "w" in found[3] or "s" in found[3]
            place = (int(found[1], 16), int(found[2], 16)) if is_file and not may_change else None
        elif line.startswith("Anonymous:") and place:
            if line.split()[1] == "0":
                yield place
            place = None
