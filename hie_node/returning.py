"""A node that came back from a backup asks the others what it missed, and serves only then.

It knows that it came back because `hie restore` wrote it down, or because another hospital keeps a head of its record
that is longer than the record: so also a disk image or a copied folder is recognised. What it asks for are
withdrawals: those that other hospitals sent it meanwhile, and those that it had sent them and has forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

import orjson

from adapters.fhir.operations import named, parameters
from adapters.fhir.record_between_peers import read_strings
from adapters.peers.errors import PeerBroken, PeerError
from adapters.store.restores import Restore
from adapters.store.unit import UnitOfWork
from adapters.trust.errors import SealBroken
from adapters.trust.receipts import read_withdrawal
from adapters.trust.seals import Head
from consent.disclosures import Disclosure
from consent.errors import InvalidReceipt
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node import log, witness
from hie_node.flows import copies
from hie_node.flows.heads import ask_keepers
from hie_node.flows.losses import lost_before
from hie_node.flows.peer_call import Asking, call_peer
from hie_node.house import House, new_id
from hie_node.setting_tables import UnsafeSettings
from registry.directory import Peer

RESTORER = "restore"


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What came of asking: withdrawals in force again, and hospitals that did not answer."""

    applied: int
    silent: tuple[str, ...]


def pending(house: House) -> Restore | None:
    """The return that has not been caught up with, if there is one."""
    with house.storage.read() as unit:
        return next((one for one in unit.restores.all() if one.caught_up is None), None)


def recognise(house: House) -> Restore | None:
    """Whether the record is shorter than what others hold of it: then it came back from an earlier day."""
    waiting = pending(house)
    if waiting is not None:
        return waiting
    with house.storage.read() as unit:
        last, known = unit.disclosures.last_seal(), unit.restores.all()
    size = last.size if last else 0
    heads = [one.head for one in ask_keepers(house).kept] + _beside_the_keys(house)
    longer = [head for head in heads if head.size > size and not lost_before(head, known)]
    if not longer:
        return None
    log.warning("this node is older than what others hold of its record", rows=size, known=longer[0].size)
    found = Restore(house.now(), size)
    with house.storage.begin() as unit:
        unit.restores.add(found)
    return found


def _beside_the_keys(house: House) -> list[Head]:
    """The head that the machine itself remembers: a database alone that was put back is recognised by it."""
    with suppress(SealBroken):
        head = witness.known_head(house)
        return [head] if head else []
    return []


def catch_up(house: House, restore: Restore, *, without: Iterable[str] = ()) -> CaughtUp:
    """Ask every hospital; when each answered, or the operator goes on without it, the node may serve."""
    left_out = frozenset(without)
    peers = [peer for peer in house.directory.current().active if peer.home != house.home]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda peer: _ask(house, peer), peers))
    applied = 0
    for peer, answer in zip(peers, answers, strict=True):
        if answer is not None:
            applied += _apply(house, peer, answer)
    missing = [str(p.community.facility) for p, answer in zip(peers, answers, strict=True) if answer is None]
    silent = tuple(facility for facility in missing if facility not in left_out)
    if not silent:
        _write_down(house, restore, applied, missing)
    return CaughtUp(applied, silent)


def before_serving(house: House) -> None:
    """Raise UnsafeSettings while withdrawals may be missing."""
    restore = recognise(house)
    if restore is None:
        return
    result = catch_up(house, restore)
    if result.silent:
        raise UnsafeSettings(
            f"this node came back from a backup of {restore.kept} sealed rows, and {', '.join(result.silent)} did not "
            "say which requests were withdrawn since; start it when they can be reached, or go on without them: "
            "hie catch-up --without FACILITY"
        )
    log.event("caught up after a restore", withdrawals=result.applied)


def _ask(house: House, peer: Peer) -> dict[str, object] | None:
    body = orjson.dumps(parameters([]))
    asker = Requester(RESTORER, Role.SYSTEM, house.home)
    try:
        answer = call_peer(house, Asking(asker), peer, method="POST", path="/fhir/Consent/$withdrawals", body=body)
        if answer.status != 200:
            raise PeerBroken(f"status-{answer.status}")
        found = orjson.loads(answer.body)
    except (PeerError, ValueError) as failure:
        log.warning("no answer about withdrawals", facility=str(peer.community.facility), reason=str(failure))
        return None
    return found if isinstance(found, dict) else None


def _apply(house: House, peer: Peer, answer: dict[str, object]) -> int:
    """Theirs by their signature; ours as they remember them, since they only ever close something."""
    applied = 0
    with house.storage.begin() as unit:
        for jws in read_strings(answer, "withdrawal"):
            try:
                one = read_withdrawal(jws, house.directory.current().keys_of)
            except InvalidReceipt:
                continue
            if one.signer == peer.home:
                applied += unit.receipts.withdraw(one.receipt_id, one.signer, one.withdrawn)
        for part in named(answer, "yours"):
            applied += _take_back(unit, part, house.now())
    return applied


def _take_back(unit: UnitOfWork, part: dict[str, object], now: datetime) -> bool:
    """A request of ours that they were told is withdrawn, and that our older copy still has in force."""
    told = {str(one.get("name")): one.get("valueString") or one.get("valueInstant") for one in part.get("part", ())}  # type: ignore[attr-defined]
    consent = unit.consents.consent(str(told.get("id", "")))
    if consent is None or consent.status != "active":
        return False
    try:
        withdrawn = datetime.fromisoformat(str(told.get("withdrawn", "")))
    except ValueError:
        return False
    if withdrawn.tzinfo is None or withdrawn <= (consent.updated or consent.given):
        return False
    ended = replace(
        consent, status="inactive", deleted=True, version=consent.version + 1, updated=now, recorded_by=RESTORER
    )
    unit.consents.save(ended)
    return True


def _write_down(house: House, restore: Restore, applied: int, missing: list[str]) -> None:
    """That it came back is itself on record, and that it may serve."""
    requester = Requester(RESTORER, Role.SYSTEM, house.home, purpose=PurposeOfUse.HOPERAT)
    reasons = {"rows-kept": restore.kept, "withdrawals-applied": applied, **{f"without:{one}": 1 for one in missing}}
    row = Disclosure(new_id(), house.now(), "changed", "U", "restore", requester, reasons=reasons)
    with house.storage.begin() as unit:
        unit.disclosures.add(row)
        # copies from before: their holders decided on them since, and this node has not heard it
        copies.drop(unit, unit.ahead.all(), copies.by_itself(house))
        unit.restores.caught_up(restore, house.now())
