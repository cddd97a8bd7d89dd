"""The card's words, in Vietnamese and English: neutral statements, never advice. Pages say them with the same words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Literal

from registry.done_before import Fact
from registry.local_time import VIET_NAM

Language = Literal["vi", "en"]


@cache
def wordings() -> Mapping[str, Mapping[str, str]]:
    """Every wording by its key."""
    table: dict[str, dict[str, str]] = json.loads(
        files("adapters.cdshooks").joinpath("wording.json").read_text("utf-8")
    )
    return table


def say(language: Language, key: str, **values: object) -> str:
    """The wording of a key with its values filled in."""
    text = wordings()[key][language]
    return text.format_map(values) if values else text


def fact(language: Language, one: Fact) -> str:
    """A fact as one short sentence; numbers with the comma of this country."""
    values = {name: _number(language, value) for name, value in one.values.items()}
    return say(language, f"fact.{one.code}", **values)


def _number(language: Language, value: str | int | float) -> str:
    text = f"{value:g}" if isinstance(value, int | float) else str(value).replace(">=", "≥")
    return text.replace(".", ",") if language == "vi" and isinstance(value, float) else text


def day(language: Language, moment: datetime | None) -> str:
    return moment.astimezone(VIET_NAM).strftime("%d/%m/%Y") if moment else say(language, "day.unknown")


def age(language: Language, days: int | None) -> str:
    if days is None or days < 0:
        return say(language, "age.unknown")
    return say(language, "age.days", n=days) if days else say(language, "age.today")


def language_of(accepted: str) -> Language:
    """Vietnamese, unless English is asked for first."""
    return "en" if accepted.strip().lower().startswith("en") else "vi"
