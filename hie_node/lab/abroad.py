"""A list from abroad: names of no Vietnamese syllables, with the errors of the FEBRL sets, a common trial.

Each original has a duplicate with up to four errors, at most two a field: a letter typed wrong, missing, too many or
exchanged, a blank in a word or none between two, fields that changed places, a value that is missing, and a value that
is somebody else's. The last makes pairs that no hospital may join by itself: one house, one birth date, one surname
and another given name are twins there. Source of the kinds: Christen, Churches and Hegland 2004 (FEBRL).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from random import Random

Row = dict[str, str]
_FIRST = "al be car dan el fin gar hen jas kir lew mor nat ol pat quen rob stef thorn wil"
_LAST = "bert borg dale ford gren ham ington jack kins land low more ning ridge son stead ston ton well wick wood worth"
_GIVEN = """
Charlotte Georgia Joshua Zachary Benjamin Jessica Nicholas Emily Harrison Isabella Mitchell Hannah Jacob
Samantha Lachlan Caitlin Thomas Chelsea Alexander Madison Jackson Brooke Matthew Sophie William Stephanie Joel Amber
Blake Chloe Connor Ella Dylan Eliza Hayden Jasmine Jayden Kirra Marcus Mikayla Noah Olivia Patrick Rachel
"""
_STREETS = ("street", "place", "crescent", "close", "circuit", "avenue")
_SPOILT = ("given_name", "family_name", "birth_date", "address_line", "commune", "district")


def listed_abroad(count: int, seed: int) -> Iterator[Row]:
    """`count` lines, every second one the duplicate of another; `person` is the truth."""
    rng = Random(f"abroad/{seed}")  # noqa: S311
    originals = [_original(rng, key) for key in range(count // 2)]
    lines = originals + [_duplicate(one, rng, originals) for one in originals]
    rng.shuffle(lines)
    for place, row in enumerate(lines):
        yield {**row, "record_id": f"a{place}"}


def _original(rng: Random, key: int) -> Row:
    def word() -> str:
        return rng.choice(_FIRST.split()) + rng.choice(_LAST.split())

    born = date(1900, 1, 1) + timedelta(days=rng.randrange(36_500))
    suburb = f"{word()} {rng.choice(('park', 'hills', 'bay', 'north'))}"
    return {
        "given_name": rng.choice(_GIVEN.lower().split()),
        "family_name": word() + rng.choice(("", "", "s", "er", "ley")),
        "birth_date": f"{born:%Y%m%d}",
        "address_line": f"{rng.randint(1, 300)} {word()} {rng.choice(_STREETS)} {word()}",
        "commune": suburb,
        "district": str(rng.randint(2000, 7999)),
        "person": str(key),
    }


def _duplicate(one: Row, rng: Random, originals: list[Row]) -> Row:
    row = dict(one)
    if rng.random() < 0.1:
        row["given_name"], row["family_name"] = row["family_name"], row["given_name"]
    for name in rng.sample(_SPOILT, rng.randint(1, 3)):
        kind = rng.random()
        if kind < 0.1:
            row[name] = ""
        elif kind < 0.16:
            row[name] = rng.choice(originals)[name]
        else:
            row[name] = _mistyped(row[name], rng)
    return row


def _mistyped(text: str, rng: Random) -> str:
    if len(text) < 4:
        return text
    at, change = rng.randrange(1, len(text) - 1), rng.choice(_CHANGES)
    letter = rng.choice("0123456789" if text.isdigit() else "abcdefghiklmnoprstuwy")
    return change(text, at, letter)


_CHANGES: tuple[Callable[[str, int, str], str], ...] = (
    lambda text, at, letter: text[:at] + letter + text[at + 1 :],
    lambda text, at, letter: text[:at] + letter + text[at:],
    lambda text, at, _: text[:at] + text[at + 1 :],
    lambda text, at, _: text[: at - 1] + text[at] + text[at - 1] + text[at + 1 :],
    lambda text, at, letter: text[:at] + letter + text[at + 1 :] if text.isdigit() else f"{text[:at]} {text[at:]}",
)
