"""Who is this patient, asked by HL7 version 3: the answer whole, or in parts under the id of the query.

What was asked is kept sealed, since it holds names, and for as long as a page of a search: ten minutes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from adapters.soap.iti47_demographics_query import again
from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.patients import find_in
from hie_node.page_tokens import PAGE_LIFE, open_page, seal_page
from registry.commands import ContinuePatients, EndPatients, PatientsPart, QueryPatients
from registry.errors import NotFound, Unreadable
from registry.searches import PatientSearch

_USE = b"open query"


def query_patients(act: Act, command: QueryPatients) -> PatientsPart:
    """ITI-47, the first part. The same id again is another question, and ends the one before."""
    with act.unit() as unit:
        return _part(act, unit, command.search, command.query_id, question=command.question, shown=0)


def continue_patients(act: Act, command: ContinuePatients) -> PatientsPart:
    """ITI-47, the next part."""
    with act.unit() as unit:
        question, after, shown = _kept(act, unit, command.query_id)
        if command.start not in (None, shown + 1):
            raise NotFound("this part of the answer")
        search = again(question)
        search = replace(search, after=after, limit=command.quantity or search.limit)
        return _part(act, unit, search, command.query_id, question=question, shown=shown)


def end_patients(act: Act, command: EndPatients) -> None:
    """Nothing of it is kept any more."""
    with act.about_nobody() as unit:
        if not unit.open_queries.end(_asker(act), command.query_id):
            raise NotFound("query")


def _part(
    act: Act, unit: UnitOfWork, search: PatientSearch, query_id: str, *, question: bytes, shown: int
) -> PatientsPart:
    """One part, and where it ended if somebody may want the next."""
    page = find_in(act, unit, search)
    if question and page.next is not None:
        told = shown + len(page.items)
        kept = (("question", question.decode()), ("after", page.next.id), ("shown", str(told)))
        expires = act.now + timedelta(seconds=PAGE_LIFE)
        unit.open_queries.keep(_asker(act), query_id, seal_page(act.house, kept, use=_USE), expires=expires)
    else:
        unit.open_queries.end(_asker(act), query_id)
    return PatientsPart(page, search.domains, shown, question)


def _kept(act: Act, unit: UnitOfWork, query_id: str) -> tuple[bytes, str, int]:
    """Raises NotFound for a query that was never in parts, is at its end, is another system's or too old."""
    sealed = unit.open_queries.find(_asker(act), query_id)
    if sealed is None:
        raise NotFound("query")
    try:
        kept = dict(open_page(act.house, sealed, use=_USE))
    except Unreadable as error:
        raise NotFound("query") from error
    return kept["question"].encode(), kept["after"], int(kept["shown"])


def _asker(act: Act) -> str:
    """A system may ask for many people: it is who continues."""
    requester = act.caller.requester
    return requester.client_id or requester.subject
