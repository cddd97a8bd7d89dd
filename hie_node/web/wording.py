"""The words of the pages, in Vietnamese and English: one table, in a file for each desk (`wording*.json`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

Language = Literal["vi", "en"]
LANGUAGES: tuple[Language, ...] = ("vi", "en")


@cache
def wordings() -> Mapping[str, Mapping[str, str]]:
    """Every wording by its key. Source: vietnamese terms as laws and official forms use them."""
    table: dict[str, dict[str, str]] = {}
    for file in sorted(files("hie_node.web").iterdir(), key=lambda each: each.name):
        if file.name.startswith("wording") and file.name.endswith(".json"):
            table |= json.loads(file.read_text("utf-8"))
    return table


def say(language: Language, key: str, **facts: object) -> str:
    """The wording of a key with its facts filled in; a key that is not there is a fault of ours."""
    text = wordings()[key][language]
    return text.format_map(facts) if facts else text
