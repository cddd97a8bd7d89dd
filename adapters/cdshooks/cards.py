"""An advice as cards. What other hospitals wrote stands in them as text: their words cannot become markup.

Source: CDS Hooks 2.0, "Card Attributes": summary below 140 characters, detail in GitHub Flavored Markdown, indicator,
source, links, suggestions with their selectionBehavior, overrideReasons.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_OID, uuid5

from adapters.cdshooks.sentences import Language, age, day, fact, say
from registry.advice import Advice, OrderAdvice
from registry.answers import OutcomeKind
from registry.done_before import Match
from registry.earlier import Earlier
from registry.ledger import RepeatReason

REASONS = "urn:hie-node:repeat-reason"
TOPICS = "urn:hie-node:card-topic"
LONGEST_SUMMARY = 139
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&])")
Card = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CardMaker:
    """Makes the cards of one answer. `house` is the address of this node's pages."""

    advice: OrderAdvice
    language: Language
    house: str
    label: str

    def cards(self) -> list[Card]:
        """None where there is nothing to say."""
        if self.advice.not_unique:
            return [self._card("summary.not-unique", say(self.language, "detail.not-unique"), "warning", uuid="")]
        found = [self._of_order(one) for one in self.advice.advices if one.matches]
        if self.advice.history:
            found.append(self._of_history())
        if not found and self.advice.missing and (self.advice.advices or self.advice.history):
            found.append(self._of_what_is_missing())
        return found

    def _of_order(self, one: Advice) -> Card:
        best = one.matches[0]
        key = "summary.in-time" if one.stands_in else "summary.other"
        detail = "\n\n".join([*(self._match(match) for match in one.matches), *self._below()])
        facts = {
            "what": self._title(best.earlier),
            "when": day(self.language, best.earlier.performed),
            "age": age(self.language, best.age_days),
            "where": self.advice.place(best.earlier.home),
        }
        card = self._card(key, detail, "warning" if one.stands_in else "info", uuid=one.card, **facts)
        card["links"] = self._links(best.earlier)
        if one.comparable:
            card["overrideReasons"] = [
                {"code": reason.value, "system": REASONS, "display": say(self.language, f"reason.{reason}")}
                for reason in RepeatReason
            ]
        if one.stands_in:
            card["suggestions"] = [self._use(one)]
            card["selectionBehavior"] = "at-most-one"
        return card

    def _use(self, one: Advice) -> dict[str, Any]:
        """Use what is there: the order that it is about goes. Never recommended: the doctor decides."""
        suggestion: dict[str, Any] = {
            "label": say(self.language, "use"),
            "uuid": str(uuid5(NAMESPACE_OID, f"{one.card} use")),
        }
        if one.ordered.reference.partition("/")[2]:
            action = {"type": "delete", "description": say(self.language, "use.remove")}
            suggestion["actions"] = [action | {"resourceId": one.ordered.reference}]
        return suggestion

    def _of_history(self) -> Card:
        newest = self.advice.history[0]
        lines = [f"- {self._headline(one)}" for one in self.advice.history[:20]]
        facts = {
            "n": len(self.advice.history),
            "when": day(self.language, newest.performed),
            "where": self.advice.place(newest.home),
        }
        card = self._card("summary.history", "\n\n".join(["\n".join(lines), *self._lines()]), "info", uuid="", **facts)
        card["links"] = self._links(None)
        return card

    def _of_what_is_missing(self) -> Card:
        detail = "\n\n".join(self._lines())
        card = self._card("summary.missing", detail, "info", uuid="", n=len(self.advice.missing))
        card["links"] = self._links(None)
        return card

    def _card(self, key: str, detail: str, indicator: str, *, uuid: str, **facts: object) -> Card:
        topic = {"system": TOPICS, "code": "earlier-imaging", "display": say(self.language, "title.patient-view")}
        card: Card = {
            "summary": _shortened(say(self.language, key, **facts)),
            "indicator": indicator,
            "detail": detail,
            "source": {"label": self.label, "url": self.house, "topic": topic},
        }
        return card | ({"uuid": uuid} if uuid else {})

    def _title(self, earlier: Earlier) -> str:
        return one_line(earlier.title) or say(self.language, "untitled")

    def _headline(self, earlier: Earlier) -> str:
        where = escaped(self.advice.place(earlier.home))
        return f"**{escaped(self._title(earlier))}**, {day(self.language, earlier.performed)}, {where}"

    def _match(self, match: Match) -> str:
        like = say(self.language, f"likeness.{match.likeness}")
        lines = [f"{self._headline(match.earlier)} ({like})"]
        if match.earlier.conclusion:
            lines.append(f"- {say(self.language, 'conclusion')}: {escaped(match.earlier.conclusion)}")
        for speaks in ("for", "against", "open"):
            told = [fact(self.language, one) for one in match.facts if one.speaks == speaks]
            if told:
                lines.append(f"- {say(self.language, speaks)}: {escaped('; '.join(told))}")
        return "\n".join(lines)

    def _below(self) -> Iterable[str]:
        status = say(self.language, f"status.{self.advice.table_status}")
        yield say(self.language, "detail.neutral")
        yield escaped(say(self.language, "detail.table", version=self.advice.table, status=status))
        yield from self._lines()

    def _lines(self) -> Sequence[str]:
        """What became of each hospital; nothing is left out in silence."""
        if not self.advice.lines:
            return ()
        told = [(one.community.name, say(self.language, f"outcome.{one.kind}")) for one in self.advice.lines]
        lines = [f"- {escaped(name)}: {outcome}" for name, outcome in told]
        return ("\n".join([f"{say(self.language, 'detail.asked')}:", *lines]),)

    def _links(self, earlier: Earlier | None) -> list[Mapping[str, str]]:
        """Absolute links to this node's pages, where the doctor signs in; nothing personal stands in them."""
        record = quote(self.advice.record_id or "")
        links = [("link.history", f"/patients/{record}")]
        if earlier is not None and earlier.study_instance_uid:
            links.append(("link.images", f"/studies/{quote(earlier.study_instance_uid)}"))
        if earlier is not None and earlier.reports:
            links.append(("link.report", f"/documents/{quote(earlier.reports[0].id)}"))
        if any(line.kind is OutcomeKind.WITHHELD for line in self.advice.lines):
            links.append(("link.request", f"/consents/{record}"))
        return [{"label": say(self.language, key), "url": self.house + path, "type": "absolute"} for key, path in links]


def one_line(text: str) -> str:
    """Text of strangers without line ends, control and direction marks."""
    kept = (" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return " ".join("".join(c for c in kept if unicodedata.category(c) != "Cf").split())[:300]


def escaped(text: str) -> str:
    """As it is read in Markdown: every mark of it is a letter."""
    return _MARKUP.sub(r"\\\1", one_line(text))


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_SUMMARY else text[: LONGEST_SUMMARY - 1].rstrip() + "…"
