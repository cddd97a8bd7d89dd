"""What every hospital holds of one patient, as the answers come in: own records at once, the others when they speak.

Two questions go out, for documents and for studies. A hospital is shown when both are answered, so that a report never
stands without its images for a moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from queue import SimpleQueue
from typing import Any

from hie_node.acts import Act
from hie_node.flows.ask_network import Hearing, answers_until, hear_documents, hear_studies, other_hospitals
from hie_node.flows.held import openable
from hie_node.web.front import Visit
from hie_node.web.timeline import Before, Timeline, before, timeline, together
from registry.answers import Community, CommunityOutcome, OutcomeKind, PeerAnswer
from registry.commands import FindDocuments, FindStudies
from registry.documents import DocumentEntry
from registry.earlier import ListedStudy
from registry.identifiers import HomeCommunityId
from registry.studies import Study

_LISTENERS = ThreadPoolExecutor(max_workers=64, thread_name_prefix="hear")
_END = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows.

    outcomes  of this hospital and of the others that have answered or are given up; empty before anybody was asked
    waiting   hospitals whose answer is still awaited
    cut       there is more than fits on the page
    wider     hospitals of the network that were not asked
    last      when a hospital that is silent now was last heard of
    before    what each of those last told of this patient; never part of `timeline`
    """

    timeline: Timeline
    outcomes: tuple[CommunityOutcome, ...] = ()
    waiting: tuple[Community, ...] = ()
    cut: bool = False
    wider: int = 0
    last: Mapping[HomeCommunityId, datetime] = field(default_factory=dict)
    before: tuple[Before, ...] = ()

    @property
    def others(self) -> tuple[CommunityOutcome, ...]:
        return self.outcomes[1:]

    @property
    def asked(self) -> int:
        return len(self.others) + len(self.waiting)

    @property
    def withheld(self) -> tuple[CommunityOutcome, ...]:
        return self._of(OutcomeKind.WITHHELD)

    @property
    def unclear(self) -> tuple[CommunityOutcome, ...]:
        return self._of(OutcomeKind.NOT_UNIQUE)

    @property
    def silent(self) -> tuple[CommunityOutcome, ...]:
        return self._of(OutcomeKind.SILENT, OutcomeKind.BROKEN, OutcomeKind.DEFERRED)

    @property
    def answered(self) -> tuple[CommunityOutcome, ...]:
        return self._of(OutcomeKind.ANSWERED, OutcomeKind.INCOMPLETE)

    def _of(self, *kinds: OutcomeKind) -> tuple[CommunityOutcome, ...]:
        return tuple(one for one in self.others if one.kind in kinds)


class Gathering:
    """The answers so far, and what they make together."""

    def __init__(self, act: Act, hearing: Hearing[DocumentEntry], most: int) -> None:
        self._act, self._most = act, most
        self._house = house = act.house
        self._before: dict[HomeCommunityId, Before] = {}
        self._communities = {peer.home: peer.community for peer in hearing.peers}
        self._wider = len(other_hospitals(house)) - len(hearing.peers)
        self._documents: dict[HomeCommunityId, PeerAnswer[DocumentEntry]] = {}
        self._studies: dict[HomeCommunityId, PeerAnswer[Study]] = {}

    def documents(self, answer: PeerAnswer[DocumentEntry]) -> None:
        self._documents[answer.outcome.community.home] = answer

    def studies(self, answer: PeerAnswer[Study]) -> None:
        self._studies[answer.outcome.community.home] = answer

    @property
    def has_own(self) -> bool:
        """Whether this hospital's own records are there: until then the page stays as it was opened."""
        return self._house.home in self._documents and self._house.home in self._studies

    @property
    def heard(self) -> int:
        """How many hospitals have answered both questions, or are given up."""
        return len(self._documents.keys() & self._studies.keys())

    def shown(self) -> Shown:
        heard = [home for home in self._documents if home in self._studies]
        heard.sort(key=lambda home: home != self._house.home)
        answers = [(self._documents[home], self._studies[home]) for home in heard]
        outcomes = together([one.outcome for one, _ in answers], [other.outcome for _, other in answers])
        documents = [item for one, _ in answers for item in one.found]
        studies = [item for _, other in answers for item in other.found]
        own_is_cut = any(
            one.kind is OutcomeKind.INCOMPLETE for one in outcomes if one.community.home == self._house.home
        )
        return Shown(
            timeline(documents[: self._most], studies[: self._most], here=self._house.home),
            outcomes,
            tuple(one for home, one in self._communities.items() if home not in heard),
            cut=own_is_cut or max(len(documents), len(studies)) > self._most,
            wider=self._wider,
            last=self._last_heard(outcomes),
            before=self._told_before(outcomes),
        )

    def _told_before(self, outcomes: tuple[CommunityOutcome, ...]) -> tuple[Before, ...]:
        """What is still known of both kinds, for each hospital of which nothing is heard now."""
        told = []
        for outcome in outcomes:
            home = outcome.community.home
            lines = (self._documents[home].outcome, self._studies[home].outcome)
            lasts = [line.last for line in lines if line.last is not None]
            if lasts and home not in self._before:
                ids = (one.id for last in lasts for one in map(_item, last.found))
                self._before[home] = before(outcome.community, lasts, openable(self._act, ids))
            if lasts:
                told.append(self._before[home])
        return tuple(told)

    def _last_heard(self, outcomes: tuple[CommunityOutcome, ...]) -> dict[HomeCommunityId, datetime]:
        silent = [one.community for one in outcomes if one.kind in (OutcomeKind.SILENT, OutcomeKind.BROKEN)]
        if not silent:
            return {}
        with self._house.storage.read() as unit:
            found = {one.home: unit.remote.last_from(one.facility) for one in silent}
        return {home: moment for home, moment in found.items() if moment is not None}


def _item(one: DocumentEntry | ListedStudy) -> DocumentEntry | Study:
    return one.study if isinstance(one, ListedStudy) else one


def hear(
    visit: Visit, documents: FindDocuments, studies: FindStudies, *, most: int, everybody: bool
) -> Iterator[Shown]:
    """The page again whenever somebody has answered; the last one is complete. Asking happens before the first."""
    asking = visit.act("all-documents")
    until = answers_until(asking)
    first = hear_documents(asking, documents, until=until, everybody=everybody)
    second = hear_studies(visit.act("all-studies"), studies, until=until, everybody=everybody)
    gathering = Gathering(visit.act("copies"), first, most)
    heard: SimpleQueue[Any] = SimpleQueue()
    for hearing, put in ((first, gathering.documents), (second, gathering.studies)):
        _LISTENERS.submit(_listen, hearing, put, heard)
    return _shown(gathering, heard, 2)


def _listen(hearing: Hearing[Any], put: Any, heard: SimpleQueue[Any]) -> None:
    try:
        for answer in hearing.answers:
            heard.put((put, answer))
        heard.put(_END)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is raised where the page is made)
        heard.put(error)


def _shown(gathering: Gathering, heard: SimpleQueue[Any], listening: int) -> Iterator[Shown]:
    """A state is the whole page again, so there is none that shows nothing new."""
    known = 0
    while listening:
        told = [heard.get()]
        while not heard.empty():
            told.append(heard.get())
        for one in told:
            if isinstance(one, Exception):
                raise one
            if one is _END:
                listening -= 1
            else:
                put, answer = one
                put(answer)
        if gathering.has_own and gathering.heard != known:
            known = gathering.heard
            yield gathering.shown()
