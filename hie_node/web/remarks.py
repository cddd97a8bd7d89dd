"""What readers of files remark, in the language of the page. They speak English and name fields, never values; here
stand the Vietnamese sentences for them (`remarks.json`). One that is not there is shown as it was said.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files

from hie_node.web.wording import Language

_HOLE = re.compile(r"\\\{(\w+)\\\}")
_TIMES = re.compile(r"(.+) \((\d+) times\)")
_LOSS = re.compile(r"(.+?); (this record was put back on .+)")
"""A finding about the sealed record, and the return from a backup that may be behind it."""
_PLACE = re.compile(r"((?:XML\d+|[A-Z]+|insurance file|sidecar)[^:;]{0,60}): (.+)")


@cache
def remarks() -> dict[str, str]:
    """English sentences with holes, and the Vietnamese for each."""
    table: dict[str, str] = json.loads(files("hie_node.web").joinpath("remarks.json").read_text("utf-8"))
    return table


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(_HOLE.sub(r"(?P<\1>.+?)", re.escape(said))), vi) for said, vi in remarks().items())


def spoken(text: str, language: Language) -> str | None:
    """The remark in this language; None where nobody has said it there yet."""
    if language == "en":
        return text
    counted = _TIMES.fullmatch(text)
    if counted and (said := spoken(counted[1], language)):
        return f"{said} ({counted[2]} lần)"
    if with_loss := _LOSS.fullmatch(text):
        both = [spoken(part, language) for part in with_loss.groups()]
        return "; ".join(filter(None, both)) if all(both) else None
    for pattern, vi in _patterns():
        if found := pattern.fullmatch(text):
            # what stands in a hole may be a sentence itself
            return vi.format_map({name: spoken(value, language) or value for name, value in found.groupdict().items()})
    placed = _PLACE.fullmatch(text)
    if placed and (said := spoken(placed[2], language)):
        place = spoken(placed[1], language) or placed[1].replace(", row ", ", dòng ")
        return f"{place}: {said}"
    return None
