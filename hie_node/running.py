"""Whether a home is being served on this machine."""

from __future__ import annotations

from pathlib import Path

from hie_node.settings import Settings


def running(settings: Settings) -> int | None:
    """The process that serves this home on this machine, if one does."""
    try:
        number = int((settings.run / "pid").read_text("ascii"))
        command = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return number if b"hie_node" in command and b"serve" in command else None
