"""What a hospital that does not answer now told at its last answer, with its age, and only what may still be seen.

It is shown under the patient's requests as this hospital keeps them at this moment, and only where the request that
permits it was already there when the list was received: after a withdrawal nothing is shown from memory, and a new
request opens what is asked for anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from adapters.store.unit import UnitOfWork
from consent.consents import Consent
from consent.decide import AccessRequest, Decision, Item, decide
from hie_node.acts import Act, item_of
from hie_node.flows.identify import Identified, by_record_id
from hie_node.flows.permission import consents_for
from hie_node.flows.remember import all_theirs
from registry.answers import CommunityOutcome, LastKnown, OutcomeKind
from registry.documents import DocumentEntry
from registry.earlier import ListedStudy
from registry.identifiers import HomeCommunityId
from registry.memory import Heard, Kind, Memory
from registry.people import PatientInQuestion
from registry.searches import DocumentSearch, StudySearch
from registry.studies import Study

NOTHING_HEARD = frozenset({OutcomeKind.SILENT, OutcomeKind.BROKEN, OutcomeKind.DEFERRED})
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


def decide_elsewhere(
    act: Act, item: DocumentEntry | Study, holder: HomeCommunityId, consents: Sequence[Consent]
) -> Decision:
    """As the holder would decide by the requests that this hospital keeps; never by an emergency."""
    return decide_on(act, replace(item_of(item), id=item.id.partition(".")[2]), holder, consents)


def decide_on(act: Act, item: Item, holder: HomeCommunityId, consents: Sequence[Consent]) -> Decision:
    """The same for what rules look at of something there."""
    ask = AccessRequest(act.caller.requester, holder, item)
    return decide(ask, consents, replace(act.house.policy, emergency_access=False), now=act.now)


def with_last_known(
    act: Act,
    unit: UnitOfWork,
    outcomes: tuple[CommunityOutcome, ...],
    search: DocumentSearch | StudySearch,
    patient: PatientInQuestion,
) -> tuple[CommunityOutcome, ...]:
    """The same lines; those of whom nothing was heard now with what they last listed. What is shown is on record."""
    if act.record_id is None or not any(one.kind in NOTHING_HEARD for one in outcomes):
        return outcomes
    person = by_record_id(unit, act.record_id)
    if person is None or not all_theirs(patient, person):
        return outcomes
    consents = consents_for(act, unit, person, keep=False)
    memories = _memories(unit, person, search)
    lines = tuple(
        replace(one, last=_last(act, memories, one, search, consents)) if one.kind in NOTHING_HEARD else one
        for one in outcomes
    )
    _on_record(act, person, lines)
    return lines


def _memories(unit: UnitOfWork, person: Identified, search: DocumentSearch | StudySearch) -> list[Memory]:
    """Of this very person: where one of the records that were asked about is somebody else's now, nothing holds. For a
    count, and for a page that is not the first, nothing is listed."""
    if search.count_only or search.after is not None:
        return []
    kind: Kind = "documents" if isinstance(search, DocumentSearch) else "studies"
    known = (one for one in unit.orders.memories(person.record_ids) if one.kind == kind)
    return [one for one in known if one.record_ids <= set(person.record_ids)]


def _last(
    act: Act,
    memories: Sequence[Memory],
    outcome: CommunityOutcome,
    search: DocumentSearch | StudySearch,
    consents: Sequence[Consent],
) -> LastKnown | None:
    """None where nothing was ever listed, or nothing of it may be seen: the two are not told apart."""
    heard = [found for one in memories if (found := one.of(outcome.community.home)) is not None and found.listed]
    if not heard:
        return None
    newest = max(heard, key=lambda one: one.listed or _LONG_AGO)
    shown = _permitted(act, newest, search, consents)
    if not shown or newest.listed is None:
        return None
    return LastKnown(newest.listed, act.now - newest.listed, shown[: search.limit])


def _permitted(
    act: Act, heard: Heard, search: DocumentSearch | StudySearch, consents: Sequence[Consent]
) -> tuple[DocumentEntry | ListedStudy, ...]:
    listed: tuple[DocumentEntry | ListedStudy, ...] = (*heard.documents, *heard.studies)

    def may(one: DocumentEntry | ListedStudy) -> bool:
        item = _item(one)
        decision = decide_elsewhere(act, item, heard.home, consents)
        return decision.permit and search.fits(item) and _stood_then(decision, heard, consents)  # type: ignore[arg-type]

    return tuple(sorted(filter(may, listed), key=lambda one: _when(_item(one)), reverse=True))


def _stood_then(decision: Decision, heard: Heard, consents: Sequence[Consent]) -> bool:
    """Whether the request that permits it now was there, as it is now, when the list was received."""
    said = next((one for one in consents if one.id == decision.consent_id), None)
    return said is not None and heard.listed is not None and (said.updated or said.given) <= heard.listed


def _item(one: DocumentEntry | ListedStudy) -> DocumentEntry | Study:
    return one.study if isinstance(one, ListedStudy) else one


def _when(item: DocumentEntry | Study) -> datetime:
    return (item.started if isinstance(item, Study) else item.performed) or _LONG_AGO


def _on_record(act: Act, person: Identified, lines: Sequence[CommunityOutcome]) -> None:
    """A row of its own: nothing of it came with this exchange, and the holder has no record of it."""
    items = [_item(one).id for line in lines if line.last for one in line.last.found]
    if not items:
        return
    shown = act.fork()
    shown.about(person.first)
    shown.direction, shown.exchange = "disclosed", ""
    shown.items = items
    shown.reasons["remembered"] += len(items)
    act.extra_rows.append(shown.row())
