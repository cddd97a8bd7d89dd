"""Who saw what, and the proof that the record of it was not touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from adapters.store.restores import Restore
from adapters.store.unit import UnitOfWork
from adapters.trust import seals
from adapters.trust.errors import SealBroken
from adapters.trust.seals import Head
from consent.commands import FindDisclosures
from consent.disclosures import Disclosure
from consent.limits import Alarm
from consent.merkle import Frontier
from consent.ports import Opened, Seal, UnreadableSeal
from consent.verification import Finding, Verification
from hie_node import witness
from hie_node.acts import Act
from hie_node.flows.heads import NOBODY_ASKED, Asked
from hie_node.flows.identify import identify
from hie_node.flows.losses import answer_for, continues, lost_before
from hie_node.house import House
from registry.commands import Page
from registry.errors import InvalidValue
from registry.identifiers import HomeCommunityId, PatientIdentifier
from registry.people import PatientInQuestion
from registry.searches import Cursor, PatientSelector

BATCH = 10_000
_SPOILT = "the seal over {} rows cannot be read"


def find_disclosures(act: Act, command: FindDisclosures) -> Page[Disclosure]:
    """ITI-81: the record of disclosures, newest first. Reading it is recorded too."""
    with act.unit() as unit:
        record_ids = None
        selector = command.patient
        if command.identifier is not None:
            selector = PatientSelector(described=PatientInQuestion((command.identifier,)))
        if selector.is_given:
            person = identify(act, unit, selector)
            if person is None:
                return Page((), total=0)
            act.about(person.first)
            record_ids = person.record_ids
        if command.ids is not None:
            rows = tuple(d for one in command.ids if (d := unit.disclosures.disclosure(one)))
            mine = (row for row in rows if record_ids is None or row.record_id in record_ids)
            found = tuple(row for row in mine if command.accepts(row))
            return Page(found, total=len(found))
        return _page_of_disclosures(unit, command, record_ids)


def _page_of_disclosures(
    unit: UnitOfWork, command: FindDisclosures, record_ids: tuple[str, ...] | None
) -> Page[Disclosure]:
    """One page, and how many there are: counted by the database, or, where a condition looks into rows, one by one."""
    after = command.after
    search = partial(
        unit.disclosures.search,
        record_ids=record_ids,
        since=command.since,
        until=command.until,
        subject=command.subject,
        other=command.other,
    )
    if command.where:
        looked_at = search(limit=BATCH)
        found = [row for row in looked_at if command.accepts(row)]
        total = len(found) if len(looked_at) < BATCH else None
        start = next((place for place, row in enumerate(found, 1) if after and row.id == after.id), 0)
        rest = found[start : start + command.limit + 1]
    else:
        total = unit.disclosures.count_found(
            record_ids=record_ids,
            since=command.since,
            until=command.until,
            subject=command.subject,
            other=command.other,
        )
        rest = list(search(after=after, limit=command.limit + 1))
    shown = tuple(rest[: command.limit])
    more = Cursor(shown[-1].recorded, shown[-1].id) if len(rest) > len(shown) else None
    return Page(shown, total=total, next=more)


def opened(
    act: Act, *, subject: str | None, other: HomeCommunityId | None, since: datetime
) -> tuple[tuple[Opened, PatientIdentifier | None], ...]:
    """Which patients this person, or this hospital, opened. Reading that is recorded too."""
    act.action = "E"
    with act.unit() as unit:
        found = unit.disclosures.opened(subject=subject, other=other, since=since, until=act.now + timedelta(seconds=1))
        records = {one.record_id: unit.patients.record_by_id(one.record_id) for one in found}
        act.items = [one.record_id for one in found]
        return tuple((one, record.identifier if (record := records[one.record_id]) else None) for one in found)


def seal(house: House) -> int:
    """Seal what was recorded since the last seal; returns how many rows. Never blocks those who write.

    The head beside the keys moves on only with a record that holds it: of one that was cut off or put back to an
    earlier day it stays the witness.
    """
    with house.storage.read() as unit:
        if not unit.disclosures.unsealed(1):
            return 0
    with house.storage.begin() as unit:
        rows = unit.disclosures.unsealed(BATCH)
        if not rows:
            return 0
        try:
            last = unit.disclosures.last_seal()
        except InvalidValue:
            _alarm(house, unit, "the newest seal cannot be read and nothing is sealed: run hie audit verify")
            return 0
        frontier = (last.frontier if last else Frontier()).append(leaf for _, leaf in rows)
        made = seals.seal(house.keys, frontier, home=house.home, now=house.now())
        unit.disclosures.add_seal(made, [row for row, _ in rows])
        whole = continues(house, unit)
        if not whole:
            _alarm(house, unit, "the record does not hold the head that is kept beside the keys: run hie audit verify")
    if whole:
        witness.keep(house, made)
    return len(rows)


def _alarm(house: House, unit: UnitOfWork, text: str) -> None:
    unit.alarms.raise_(Alarm("own-record-conflict", str(house.home), text, house.now()))


def verify(
    house: House, elsewhere: Asked = NOBODY_ASKED, *, tell: Callable[[int, int], None] = lambda done, total: None
) -> Verification:
    """Recompute every leaf and every head: a row that was changed, removed, added or moved shows.

    `elsewhere` are the heads that other hospitals keep: with them a record shows that was cut off or put back together
    with everything that this hospital remembers of it. `tell` hears after each seal how many of its rows are done.
    """
    # before the snapshot: a seal made in between is then merely newer than what is remembered
    remembered = _remembered(house)
    wanted = {one.head.size for one in elsewhere.kept}
    with house.storage.read() as unit:
        stand = list(unit.disclosures.seals())
        sealed = [one for one in stand if isinstance(one, Seal)]
        findings = [Finding(one.size, _SPOILT.format(one.size)) for one in stand if isinstance(one, UnreadableSeal)]
        findings += _check_signatures(house, sealed)
        frontier, rows, roots = Frontier(), 0, {0: Frontier().root.hex()}
        for one in sealed:
            leaves = []
            for expected, row in enumerate(unit.disclosures.sealed_leaves(rows, one.size), start=rows):
                if row.position != expected:
                    findings.append(Finding(expected, "a row is missing"))
                    break
                if not row.found_as_it_reads:
                    findings.append(Finding(expected, "this row is not found under what it says"))
                leaves.append(row.leaf)
            frontier, rows = _grown(frontier, leaves, wanted, roots), one.size
            if frontier.size != one.size or frontier.root != one.frontier.root:
                findings.append(Finding(None, f"the rows up to {one.size} are not those that were sealed"))
                frontier = one.frontier
            tell(rows, sealed[-1].size)
        unsealed = unit.disclosures.unsealed(BATCH)
        total = unit.disclosures.count()
        if total != rows + len(unsealed) and len(unsealed) < BATCH:
            findings.append(Finding(None, f"{total} rows are there, {rows + len(unsealed)} are accounted for"))
        lost = unit.restores.all()
    told, notes = _Losses(house, lost), list[str]()
    for found in (*_check_the_end(remembered, sealed, told), *_check_elsewhere(elsewhere, roots, rows, told)):
        if isinstance(found, Finding):
            findings.append(found)
        elif found not in notes:
            notes.append(found)
    return Verification(
        rows, len(sealed), len(unsealed), tuple(findings), len(elsewhere.kept), elsewhere.silent, tuple(notes)
    )


def _grown(frontier: Frontier, leaves: list[bytes], wanted: set[int], roots: dict[int, str]) -> Frontier:
    """The tree with these leaves; on the way its root at each size that somebody keeps a head of."""
    start, done = frontier.size, 0
    for size in sorted(size for size in wanted if start < size <= start + len(leaves)):
        frontier = frontier.append(leaves[done : size - start])
        done = size - start
        roots[size] = frontier.root.hex()
    return frontier.append(leaves[done:])


@dataclass(frozen=True, slots=True)
class _Losses:
    """The returns from a backup, and who answers for them."""

    house: House
    restores: Sequence[Restore]

    def explain(self, head: Head, found: Finding) -> Finding | str:
        """A note where somebody answers for the rows of this head; else what was found, with what may be behind it."""
        restore = lost_before(head, self.restores)
        if restore is None:
            return found
        back = f"this record was put back on {restore.restored:%Y-%m-%d %H:%M} to {restore.kept} rows"
        answer = answer_for(self.house, restore)
        if answer is None:
            return Finding(found.position, f"{found.text}; {back}, and nobody answers for it (hie audit answer)")
        return f"{back}; later ones are lost. {answer.by} answers for it: {answer.because}"


def _check_elsewhere(elsewhere: Asked, roots: Mapping[int, str], rows: int, losses: _Losses) -> Iterator[Finding | str]:
    """What other hospitals hold of this record must still be in it, except what somebody answers for."""
    for one in elsewhere.kept:
        size = one.head.size
        if roots.get(size) == one.head.root:
            continue
        if size > rows:
            found = Finding(rows, f"{one.keeper} keeps a head over {size} rows; {rows} are left")
        else:
            found = Finding(size, f"{one.keeper} keeps another head over {size} rows")
        yield losses.explain(one.head, found)


def _remembered(house: House) -> Head | Finding | None:
    try:
        return witness.known_head(house)
    except SealBroken as broken:
        return Finding(None, f"the head kept outside the database is not ours: {broken.reason}")


def _check_the_end(head: Head | Finding | None, sealed: list[Seal], losses: _Losses) -> Iterator[Finding | str]:
    """What is remembered outside the database must still be in it."""
    if isinstance(head, Finding):
        yield head
        return
    if head is None:
        if sealed:
            yield Finding(None, "the head kept outside the database is missing")
        return
    same = next((one for one in sealed if one.size == head.size), None)
    if same is None:
        text = f"a seal over {head.size} rows is known, and the record has none of this size"
        yield losses.explain(head, Finding(head.size, text))
    elif same.frontier.root.hex() != head.root:
        yield losses.explain(head, Finding(head.size, f"another record was sealed at {head.size} rows"))


def _check_signatures(house: House, sealed: list[Seal]) -> Iterator[Finding]:
    before: Seal | None = None
    for one in sealed:
        try:
            seals.verify_seal(one, home=house.home, keys=house.keys.ever())
        except SealBroken as broken:
            yield Finding(one.size, f"this seal is not ours: {broken.reason}")
        if before is not None and (one.size <= before.size or one.sealed < before.sealed - timedelta(seconds=10)):
            yield Finding(one.size, "this seal is older than the one before it")
        before = one
