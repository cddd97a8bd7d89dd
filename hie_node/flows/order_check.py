"""At the moment of ordering: has this been done, here or elsewhere? Answered from what is known, completed by asking.

Own records, and what other hospitals last listed, each decided again at this moment under what the patient has said;
other hospitals are asked, within `order_budget`, where what is remembered is not fresh. What is shown is on record, and
what the doctor was told is kept until the decision comes.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace

from adapters.store.unit import UnitOfWork
from consent.requesters import Role
from hie_node.acts import Act
from hie_node.flows.identify import Identified, identify
from hie_node.flows.known_elsewhere import Answers, Known, ask, community_of, what_is_known
from hie_node.ordering_tables import OrderingTables, tables
from registry.advice import Advice, AnswerCards, CheckOrder, Decided, OrderAdvice, RequestedService
from registry.conclusions import conclusion_of
from registry.documents import DocumentEntry
from registry.done_before import Match, done_before
from registry.earlier import Earlier
from registry.errors import NotFound, NotUnique, RegistryError
from registry.ledger import Told, entry
from registry.local_time import VIET_NAM
from registry.ordered import Ordered, examination_of
from registry.validity import in_effect

MOST_MATCHES = 5
MOST_READ, LONGEST_READ = 12, 64 << 10
"""Own reports that are opened for their conclusions, and their bytes at most."""
_CARDS = uuid.UUID("9a1c7f1e-2b52-5d0b-8b5e-5f0a2f6f4c11")


def check_order(act: Act, command: CheckOrder) -> OrderAdvice:
    """Tell what was done before that bears on these orders."""
    _speaking_for(act, command.person)
    looked = tables(act.house)
    requested = [one for one in (_ordered(each, looked) for each in command.requested) if one is not None]
    answers = Answers()
    if (requested or command.history) and _should_ask(act, command):
        answers = ask(act, command.patient)
    with act.unit() as unit:
        try:
            person = identify(act, unit, command.patient)
        except NotUnique:
            return OrderAdvice(None, not_unique=True)
        if person is None or not (requested or command.history):
            return OrderAdvice(person.first.id if person else None)
        act.about(person.first)
        known = what_is_known(act, unit, person, answers)
        advice = _advice(act, unit, command, known, requested, looked)
    # after the record is durable, and outside its transaction: contents are opened
    return with_conclusions(act, advice)


def with_conclusions(act: Act, advice: OrderAdvice) -> OrderAdvice:
    """The same with the conclusions of this hospital's own reports; those of others are read where they are opened."""

    def told(one: Earlier) -> Earlier:
        return one if one.conclusion else replace(one, conclusion=_conclusion(act, one))

    advices = tuple(
        replace(one, matches=tuple(replace(match, earlier=told(match.earlier)) for match in one.matches))
        for one in advice.advices
    )
    newest = tuple(told(one) for one in advice.history[:MOST_READ])
    return replace(advice, advices=advices, history=newest + advice.history[MOST_READ:])


def _conclusion(act: Act, one: Earlier) -> str:
    report = next((each for each in one.reports if each.record_id), None)
    if one.learnt is not None or report is None or not report.attachment.content_type.startswith("text/plain"):
        return ""
    if report.attachment.size > LONGEST_READ or report.repository is not None:
        return ""
    try:
        content = b"".join(act.house.contents.open(report.record_id, report.attachment.content_hash))
    except RegistryError:  # the card is worth giving without it; whoever opens the report is told what is wrong
        return ""
    return conclusion_of(content.decode("utf-8", errors="replace"))


def _speaking_for(act: Act, person: str) -> None:
    """A system that orders for a doctor says which: that is who stands in the record."""
    requester = act.caller.requester
    if person and requester.role is Role.SYSTEM:
        act.caller = replace(act.caller, requester=replace(requester, subject=person, role=Role.DOCTOR))


def _ordered(requested: RequestedService, looked: OrderingTables) -> Ordered | None:
    found = examination_of(requested.codes, requested.texts, looked.codes)
    if found is None:
        return None
    return Ordered(found[0], found[1], requested.diagnoses, requested.reference)


def _should_ask(act: Act, command: CheckOrder) -> bool:
    if command.asking != "stale" or act.caller.requester.purpose.is_emergency:
        return command.asking != "never"
    with act.house.storage.read() as unit:
        try:
            person = identify(act, unit, command.patient)
        except NotUnique:
            return False
        return person is not None and not what_is_known(act.fork(), unit, person, Answers()).is_fresh


def _advice(
    act: Act,
    unit: UnitOfWork,
    command: CheckOrder,
    known: Known,
    requested: Sequence[Ordered],
    looked: OrderingTables,
) -> OrderAdvice:
    table = in_effect(looked.validity, act.now.astimezone(VIET_NAM).date())
    advices = []
    for ordered in requested:
        matches = done_before(ordered, known.earlier, table, looked.levels, now=act.now)[:MOST_MATCHES]
        card = _card(act, known.person, ordered, matches)
        advices.append(Advice(card, ordered, matches))
        if matches:
            unit.orders.tell(_told(act, command, known.person, ordered, matches[0], card))
    history = tuple(sorted(known.earlier, key=_when, reverse=True)) if command.history else ()
    shown = [match.earlier for advice in advices for match in advice.matches] + list(history)
    papers = tuple(sorted(known.papers, key=_written, reverse=True)) if command.history else ()
    _on_record(act, shown)
    act.items += [one.id for one in papers]
    homes = dict.fromkeys((*(one.home for one in shown), *(one.home or act.house.home for one in papers)))
    places = tuple(community_of(act, home) for home in homes)
    who = known.person.first.id
    return OrderAdvice(who, tuple(advices), history, papers, known.lines, places, table.version, table.status)


def _when(earlier: Earlier) -> float:
    return earlier.performed.timestamp() if earlier.performed else 0.0


def _written(paper: DocumentEntry) -> float:
    return paper.performed.timestamp() if paper.performed else 0.0


def _on_record(act: Act, shown: Iterable[Earlier]) -> None:
    for earlier in shown:
        new = [one for one in earlier.ids if one not in act.items]
        act.items += new
        if new:
            act.reasons["own-hospital" if earlier.home == act.house.home else "remembered"] += 1


def _card(act: Act, person: Identified, ordered: Ordered, matches: Sequence[Match]) -> str:
    """One order of one examination on one day is one card, however often it is looked at: it gets one decision."""
    earlier = matches[0].earlier.ids[0] if matches and matches[0].earlier.ids else ""
    day = act.now.astimezone(VIET_NAM).date().isoformat()
    return str(uuid.uuid5(_CARDS, "\n".join((person.first.id, ordered.examination.key, earlier, day))))


def _told(act: Act, command: CheckOrder, person: Identified, ordered: Ordered, best: Match, card: str) -> Told:
    return Told(
        card=card,
        given=act.now,
        record_id=person.first.id,
        examination=ordered.examination.key,
        service=ordered.service.code if ordered.service else "",
        sender=str(community_of(act, best.earlier.home).facility),
        earlier_id=best.earlier.ids[0] if best.earlier.ids else "",
        performed=best.earlier.performed,
        stands_in=best.stands_in,
        via=command.via,
        comparable=best.likeness.answers,
    )


def answer_cards(act: Act, command: AnswerCards) -> Decided:
    """Enter what the doctor decided. A card that nobody was given is NotFound, and then nothing is entered; one about
    what is only related is no decision about a repeat."""
    act.direction, act.action = "changed", "C"
    prices = tables(act.house).prices
    facility, role = str(act.house.settings.facility_code), act.caller.requester.role.value
    with act.unit() as unit:
        entries = []
        for answer in command.answers:
            told = unit.orders.told(answer.card)
            if told is None:
                raise NotFound("card")
            if not told.comparable:
                continue
            made = entry(
                told, answer.verdict, reason=answer.reason, role=role, facility=facility, prices=prices, now=act.now
            )
            unit.orders.decide(made)
            entries.append(made)
            _decision_on_record(act, unit, told)
        return Decided(tuple(entries))


def _decision_on_record(act: Act, unit: UnitOfWork, told: Told) -> None:
    """Each patient about whom something was decided gets a row."""
    record = unit.patients.record_by_id(told.record_id)
    one = act.fork()
    if record is not None:
        one.about(record)
    one.items = [told.card]
    act.extra_rows.append(one.row())
