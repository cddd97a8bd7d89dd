"""What was heard of other hospitals, what doctors were told when they ordered, and what they decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, select

from adapters.store.codec import dump
from adapters.store.rows import Part, moment, upsert
from adapters.store.schema import heard, order_card, order_decision
from registry.ledger import Entry, Told
from registry.memory import Kind, Memory

_MEMORY = select(heard.c.body).where(heard.c.record_id == bindparam("record_id"), heard.c.kind == bindparam("about"))
_MEMORIES = select(heard.c.body).where(heard.c.record_id.in_(bindparam("record_ids", expanding=True)))
_NEWEST = select(heard.c.body).order_by(heard.c.asked.desc()).limit(bindparam("size"))
_FORGET_HEARD = delete(heard).where(heard.c.asked < bindparam("moment"))
_FORGET_PATIENT = delete(heard).where(heard.c.record_id == bindparam("record_id"))
_CARD = select(order_card.c.body).where(order_card.c.card == bindparam("card"))
_FORGET_CARDS = delete(order_card).where(order_card.c.given < bindparam("moment"))
_DECISIONS = (
    select(order_decision.c.body)
    .where(order_decision.c.decided >= bindparam("since"), order_decision.c.decided < bindparam("until"))
    .order_by(order_decision.c.decided, order_decision.c.card)
)
_DECISION = select(order_decision.c.body).where(order_decision.c.card == bindparam("card"))


class Orders(Part):
    """The moment of ordering: memory, cards, decisions."""

    __slots__ = ()

    def remember(self, memory: Memory) -> None:
        """In the place of what was remembered of this patient and kind."""
        values = {"record_id": memory.record_id, "kind": memory.kind, "asked": moment(memory.asked)}
        upsert(self._connection, heard, {**values, "body": dump(memory)})

    def memory(self, record_id: str, kind: Kind) -> Memory | None:
        return self._noun(Memory, _MEMORY, record_id=record_id, about=kind)

    def memories(self, record_ids: Sequence[str]) -> tuple[Memory, ...]:
        """All that is remembered of one person."""
        return self._nouns(Memory, _MEMORIES, record_ids=list(record_ids))

    def newest(self, count: int) -> tuple[Memory, ...]:
        """The last questions about anybody: for how peers answer, not for what they say."""
        return self._nouns(Memory, _NEWEST, size=count)

    def forget_patient(self, record_id: str) -> None:
        self._connection.execute(_FORGET_PATIENT, {"record_id": record_id})

    def tell(self, told: Told) -> None:
        """Keep what a card said until its answer comes."""
        upsert(self._connection, order_card, {"card": told.card, "given": moment(told.given), "body": dump(told)})

    def told(self, card: str) -> Told | None:
        return self._noun(Told, _CARD, card=card)

    def decide(self, entry: Entry) -> None:
        """Enter a decision; a card has one, and the last counts."""
        upsert(
            self._connection,
            order_decision,
            {"card": entry.card, "decided": moment(entry.decided), "body": dump(entry)},
        )

    def decision(self, card: str) -> Entry | None:
        return self._noun(Entry, _DECISION, card=card)

    def decisions(self, since: datetime, until: datetime) -> tuple[Entry, ...]:
        """From `since` until before `until`, oldest first."""
        return self._nouns(Entry, _DECISIONS, since=moment(since), until=moment(until))

    def forget_before(self, *, answers: datetime, cards: datetime) -> None:
        """Answers and cards from before these moments; decisions stay."""
        self._connection.execute(_FORGET_HEARD, {"moment": moment(answers)})
        self._connection.execute(_FORGET_CARDS, {"moment": moment(cards)})
