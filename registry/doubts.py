"""In which order people work off doubts about identity: what may already have mixed two patients comes first."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from registry.ports import Review

_PRESSING = ("overlay", "changed-elsewhere", "look-alike")
"""One local number for two patients: whatever was stored under it may be a stranger's. Then a patient whom another
hospital has changed, then two records that may be one; then all else."""


def most_pressing_first(reviews: Iterable[Review]) -> list[Review]:
    """By danger; those of one kind newest first, whose patients may still be in the house."""
    newest = sorted(sorted(reviews, key=attrgetter("id")), key=attrgetter("opened"), reverse=True)
    return sorted(newest, key=_danger)


def _danger(review: Review) -> int:
    return _PRESSING.index(review.kind) if review.kind in _PRESSING else len(_PRESSING)
