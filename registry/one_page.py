"""A patient on one page: history, diagnoses, results, imaging and papers, each line with its day and its source.

Pure: what may be seen and is known goes in, lines come out. What does not fit the page is counted, never dropped in
silence; whose words a line has is said on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from registry.clinical import Medication, Problem, Result
from registry.documents import DocumentEntry, is_visit_data
from registry.earlier import Earlier
from registry.identifiers import HomeCommunityId
from registry.summary import Summary

MOST = 12
"""Lines of one section."""
Place = Callable[[HomeCommunityId | None], str]
"""The name of a hospital; None is this one."""


@dataclass(frozen=True, slots=True)
class Line:
    """One fact: what, when, and from which hospital. `learnt` is when another hospital listed it."""

    text: str
    when: datetime | None
    source: str
    learnt: datetime | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Some lines, newest first, and how many more there are."""

    name: str
    lines: tuple[Line, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class OnePage:
    """All sections, empty ones too: that nothing is known of something is itself said.

    withheld  things of this hospital that may not stand here
    """

    sections: tuple[Section, ...]
    withheld: int = 0


def one_page(summary: Summary, history: Sequence[Earlier], papers: Sequence[DocumentEntry], place: Place) -> OnePage:
    """Diagnoses, medicines and results are this hospital's own; imaging and papers are of every hospital that showed
    them."""
    here = place(None)
    sections = (
        _section("diagnoses", (Line(_problem(one), one.made, here) for one in summary.problems)),
        _section("medicines", (Line(_medicine(one), one.ordered, here) for one in summary.medications)),
        _section("results", (Line(_result(one), one.resulted, here) for one in summary.results)),
        _section("imaging", _imaging(history, place)),
        _section("papers", _papers(papers, place)),
    )
    return OnePage(sections, summary.withheld)


def _section(name: str, lines: Iterable[Line]) -> Section:
    listed = list(lines)
    return Section(name, tuple(listed[:MOST]), max(0, len(listed) - MOST))


def _problem(one: Problem) -> str:
    words = one.text or (one.code.display or "" if one.code else "")
    return " ".join(part for part in (one.code.code if one.code else "", words) if part)


def _medicine(one: Medication) -> str:
    return ", ".join(part for part in (" ".join(p for p in (one.name, one.strength) if p), one.dose) if part)


def _result(one: Result) -> str:
    return f"{one.name}: {' '.join(part for part in (one.value, one.unit) if part)}"


def _imaging(history: Sequence[Earlier], place: Place) -> Iterator[Line]:
    for one in history:
        text = ": ".join(part for part in (one.title, one.conclusion) if part)
        yield Line(text, one.performed, place(one.home), one.learnt)


def _papers(papers: Sequence[DocumentEntry], place: Place) -> Iterator[Line]:
    """What people read; the same visit as data for programs would take its place a second time."""
    for one in papers:
        if is_visit_data(one):
            continue
        title = one.attachment.title or (one.type.display if one.type else "") or ""
        yield Line(title, one.performed, place(one.home))
