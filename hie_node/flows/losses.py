"""Rows that were lost when this node came back from an earlier day, and who answers for that.

A rollback by an attacker and a return from a backup look alike from inside. So a loss is a finding of the verification
until the data protection officer says what happened, in a statement that the node signs: from then on it is a note with
a name. It explains what was sealed before that return, and nothing afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.store.restores import Restore
from adapters.store.unit import UnitOfWork
from adapters.trust.errors import SealBroken
from adapters.trust.losses import Loss, read_answer, write_answer
from adapters.trust.seals import Head
from consent.requesters import Role
from hie_node import witness
from hie_node.acts import Act
from hie_node.house import House
from registry.errors import InvalidValue, NotFound

SHORTEST_REASON = 10


def lost_before(head: Head, restores: Sequence[Restore]) -> Restore | None:
    """The return from a backup that lost the rows of this head, if one did."""
    return next((one for one in restores if one.kept < head.size and head.sealed <= one.restored), None)


def answer_for(house: House, restore: Restore) -> Loss | None:
    """What the officer said of this very return; None where nobody did, or where the statement is not this node's."""
    if restore.answer is None:
        return None
    try:
        loss = read_answer(restore.answer, home=house.home, keys=house.keys.ever())
    except SealBroken:
        return None
    return loss if (loss.restored, loss.kept) == (restore.restored, restore.kept) else None


def answer_losses(act: Act, *, because: str) -> tuple[Restore, ...]:
    """The officer answers for each loss that nobody has answered for yet; that is itself on record."""
    act.action, act.direction = "U", "changed"
    if act.caller.requester.role is not Role.DATA_PROTECTION_OFFICER:
        raise InvalidValue("--as", expected="the data protection officer, who alone answers for lost rows")
    said = " ".join(because.split())
    if len(said) < SHORTEST_REASON:
        raise InvalidValue("--because", expected=f"what happened, in {SHORTEST_REASON} characters or more")
    with act.unit() as unit:
        open_ = tuple(one for one in unit.restores.all() if answer_for(act.house, one) is None)
        if not open_:
            raise NotFound("a return from a backup that nobody has answered for")
        for one in open_:
            loss = Loss(one.restored, one.kept, act.caller.requester.subject, said)
            unit.restores.answered(one, write_answer(act.house.keys, loss, home=act.house.home, now=act.now))
            act.reasons["rows-kept"] = one.kept
        last = unit.disclosures.last_seal()
    if last is not None:  # from here on this record has to hold
        witness.keep(act.house, last)
    return open_


def continues(house: House, unit: UnitOfWork) -> bool:
    """Whether the record still holds the head that is remembered beside the keys, or somebody answers for its loss."""
    try:
        head = witness.known_head(house)
    except SealBroken:
        return False
    if head is None:
        return True
    try:
        same = unit.disclosures.seal_over(head.size)
    except InvalidValue:
        return False
    if same is not None and same.frontier.root.hex() == head.root:
        return True
    lost = lost_before(head, unit.restores.all())
    return lost is not None and answer_for(house, lost) is not None
