"""The list of one hospital, page by page: what comes within the time of the question and the bounds of a list.

Each page is a request of its own, decided on by its holder anew. What does not come in time, or is more than one
hospital may bring, is said in that hospital's line, and never held in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from adapters import interpreter
from adapters.peers.errors import PeerBroken, PeerError
from adapters.peers.fhir_client import Listed, Question, outcome_of
from consent.reconciling import PAGE
from hie_node.acts import Act
from hie_node.flows.peer_call import Asking, call_peer
from hie_node.setting_tables import Limits
from registry.answers import OutcomeKind
from registry.directory import Peer
from registry.documents import DocumentEntry
from registry.studies import Study

Thing = TypeVar("Thing", DocumentEntry, Study)

FEW = 20
"""Entries of a page where a larger one was too much: each has at most 256 KB beside its content."""
MOST_PAGES = 100
ANSWERS_IN_A_LIST = 4
"""A list may have this many times the bytes of one answer (`peer_answer`)."""

Read = Callable[[bytes, Peer, Question], Listed[Thing]]


@dataclass(slots=True)
class PageByPage(Generic[Thing]):
    """One question to one hospital that speaks FHIR, until `deadline` (`time.monotonic()`)."""

    act: Act
    asking: Asking
    peer: Peer
    question: Question
    read: Read[Thing]
    deadline: float
    _asked: int = field(default=0, init=False)
    _bytes: int = field(default=0, init=False)
    _slowest: float = field(default=0.0, init=False)

    def all(self, body: bytes) -> tuple[tuple[Thing, ...], OutcomeKind, str]:
        """What there is, beginning with the answer to `body`. Raises PeerError and BadAnswer.

        A page that breaks off leaves what came before it; one that lies takes all of it along.
        """
        page: Listed[Thing] = self._first(body)
        first: Listed[Thing] = page
        taken = {item.id: item for item in page.found}
        while page.following and self._goes_on(len(taken)):
            try:
                page = self._page("GET", f"?{page.following}")
            except PeerError:
                break
            if page.said and page.said[0] is OutcomeKind.WITHHELD:
                # taken back while we read: what came before it is not shown either
                return (), OutcomeKind.WITHHELD, page.said[1]
            before = len(taken)
            taken = {item.id: item for item in page.found} | taken
            if len(taken) == before:
                break
        found = tuple(taken.values())[: self._limits.peer_entries]
        kind, words = outcome_of(first, page, count=len(found))
        return found, kind, words

    def _first(self, body: bytes) -> Listed[Thing]:
        try:
            return self._page("POST", "/_search", body=body)
        except PeerBroken as failure:
            if failure.reason != "too-much":
                raise
        return self._page("POST", "/_search", body=self.question.body(FEW))

    def _page(self, method: str, rest: str, *, body: bytes = b"") -> Listed[Thing]:
        started = time.monotonic()
        self._asked += 1
        # a later page leaves the time that reading it will take
        deadline = self.deadline - self._slowest
        answer = call_peer(
            self.act.house,
            self._asking_again() if self._asked > 1 else self.asking,
            self.peer,
            method=method,
            path=f"/fhir/{self.question.resource}{rest}",
            body=body,
            content_type="application/x-www-form-urlencoded",
            deadline=deadline,
        )
        if answer.status != 200:
            raise PeerBroken(f"status-{answer.status}")
        self._bytes += len(answer.body)
        with interpreter.computing():
            page = self.read(answer.body, self.peer, self.question)
        self._slowest = max(self._slowest, time.monotonic() - started)
        return page

    def _asking_again(self) -> Asking:
        """A token is good for one request; both records still name the one question."""
        exchange = f"{self.asking.exchange}{PAGE}{self._asked}" if self.asking.exchange else ""
        return replace(self.asking, exchange=exchange)

    def _goes_on(self, taken: int) -> bool:
        limits = self._limits
        fits = taken < limits.peer_entries and self._bytes <= (ANSWERS_IN_A_LIST - 1) * limits.peer_answer
        return fits and self._asked < MOST_PAGES and time.monotonic() + 3 * self._slowest < self.deadline

    @property
    def _limits(self) -> Limits:
        return self.act.house.settings.limits
