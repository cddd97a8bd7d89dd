"""The words of the pages, in Vietnamese and English, from one table."""

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
    table: dict[str, dict[str, str]] = json.loads(files("hie_node.web").joinpath("wording.json").read_text("utf-8"))
    return table


def say(language: Language, key: str, **facts: object) -> str:
    """The wording of a key with its facts filled in; a key that is not there is a fault of ours."""
    text = wordings()[key][language]
    return text.format_map(facts) if facts else text
