"""Heads of the record: offered to peers, kept for peers, and asked back when somebody wants proof.

Who keeps a head never signs for a smaller one, nor for another of the same size: a record whose end was cut off, or a
whole database that was put back to an earlier day, contradicts what the other hospitals hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import orjson

from adapters.fhir.operations import parameters
from adapters.fhir.record_between_peers import read_strings
from adapters.peers.errors import PeerBroken, PeerError
from adapters.store.heads import KeptHead
from adapters.trust import seals
from adapters.trust.errors import SealBroken
from adapters.trust.seals import Head
from consent.commands import HeadKept, KeepHead, ListKeptHeads
from consent.errors import InvalidReceipt
from consent.limits import Alarm
from consent.ports import Seal
from consent.requesters import Requester, Role
from hie_node import log
from hie_node.acts import Act
from hie_node.flows.peer_call import Asking, call_peer
from hie_node.house import House
from registry.directory import Peer

KEEPERS = 5
"""Hospitals that keep our heads: enough that they are never all away, few enough for a network of thousands."""
MOST_LISTED = 400


def keep_head(act: Act, command: KeepHead) -> HeadKept:
    """A peer's newest head: kept and signed for, unless it contradicts one that it showed before."""
    home = act.caller.requester.home
    try:
        head = seals.read_head(command.jws, home=home, keys=act.house.directory.current().keys_of(home))
    except SealBroken as broken:
        raise InvalidReceipt(f"head-{broken.reason}") from broken
    with act.about_nobody() as unit:
        newest = unit.heads.newest(home)
        other = unit.heads.other_than(home, size=head.size, root=head.root)
        unit.heads.keep(KeptHead(home, head.size, head.root, act.now, command.jws))
        if other is None and (newest is None or newest.size <= head.size):
            return HeadKept(cosignature=seals.cosign(act.house.keys, head, keeper=act.house.home, now=act.now))
        assert newest is not None
        unit.alarms.raise_(_contradiction(act, head, newest.size))
        return HeadKept(conflict=other or newest.signature)


def _contradiction(act: Act, head: Head, known: int) -> Alarm:
    text = f"showed a head over {head.size} rows after one over {known}: its record was cut, rolled back or rewritten"
    log.warning("a peer's record contradicts its heads", home=str(head.home), size=head.size, known=known)
    return Alarm("head-conflict", str(head.home), text, act.now)


def kept_heads(act: Act, _: ListKeptHeads) -> tuple[str, ...]:
    """The heads of the asking hospital that are kept here, as it signed them."""
    with act.about_nobody() as unit:
        return unit.heads.of(act.caller.requester.home, most=MOST_LISTED)


def kept_for(house: House, peer: Peer) -> tuple[tuple[Head, str], ...]:
    """The heads of that hospital's record that are kept here and that it signed, with their signatures."""
    with house.storage.read() as unit:
        kept = unit.heads.of(peer.home, most=10_000)
    keys = list(house.directory.current().keys_of(peer.home))
    found = []
    for signature in kept:
        try:
            found.append((seals.read_head(signature, home=peer.home, keys=keys), signature))
        except SealBroken:
            log.warning("a head that is kept cannot be read", facility=str(peer.community.facility))
    return tuple(found)


def proof_line(house: House, signature: str) -> str:
    """One kept head as `deploy/verify_record.py` takes it."""
    return f'{{"keeper": "{house.home}", "head": "{signature}"}}\n'


def keepers_of(house: House) -> tuple[Peer, ...]:
    """The hospitals that keep our heads: the same ones as long as the network has them, different for each hospital."""
    peers = [peer for peer in house.directory.current().active if peer.home != house.home]
    peers.sort(key=lambda peer: hashlib.sha256(f"{house.home} {peer.home}".encode()).digest())
    return tuple(peers[:KEEPERS])


def newest_head(house: House) -> tuple[Seal | None, dict[str, tuple[int, str]]]:
    """The newest seal of our record, and which one each keeper signed for last."""
    with house.storage.read() as unit:
        return unit.disclosures.last_seal(), unit.heads.keepers()


def offer_head(house: House) -> int:
    """Show the newest head to each keeper that has not signed for it; returns how many did now."""
    newest, signed = newest_head(house)
    if newest is None:
        return 0
    head = Head(house.home, newest.size, newest.frontier.root.hex(), newest.sealed)
    missing = [peer for peer in keepers_of(house) if signed.get(str(peer.home), (0, ""))[0] != newest.size]
    with ThreadPoolExecutor(KEEPERS) as pool:  # a hospital that is away holds up neither the others nor the other jobs
        return sum(pool.map(lambda peer: _offer_to(house, peer, head, newest.signature), missing))


def _offer_to(house: House, peer: Peer, head: Head, signature: str) -> bool:
    try:
        answer = _ask(house, peer, "/fhir/AuditEvent/$keep-head", [{"name": "head", "valueString": signature}])
        conflict = read_strings(answer, "conflict")
        if conflict:
            _raise_conflict(house, peer, head, conflict[0])
            return False
        (cosignature,) = read_strings(answer, "cosignature")
        keys = house.directory.current().keys_of(peer.home)
        seals.check_cosignature(cosignature, head, keeper=peer.home, keys=keys)
    except (PeerError, SealBroken, ValueError) as failure:
        log.warning("a head was not kept", facility=str(peer.community.facility), reason=type(failure).__name__)
        return False
    with house.storage.begin() as unit:
        unit.heads.signed_for(peer.home, head.size, cosignature)
    return True


def _raise_conflict(house: House, peer: Peer, head: Head, kept: str) -> None:
    """The keeper shows a head of ours that we do not stand behind any more; only our own signature counts for it."""
    known = seals.read_head(kept, home=house.home, keys=house.keys.ever())
    text = f"keeps a head of ours over {known.size} rows, and our record now has {head.size} of another history"
    with house.storage.begin() as unit:
        unit.alarms.raise_(Alarm("own-record-conflict", str(peer.home), text, house.now()))


@dataclass(frozen=True, slots=True)
class KeptElsewhere:
    """One head of ours that another hospital keeps; our own signature is on it."""

    keeper: str
    head: Head
    signature: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What the keepers hold of ours, and which of them did not answer."""

    kept: tuple[KeptElsewhere, ...]
    silent: tuple[str, ...]


NOBODY_ASKED = Asked((), ())


def ask_keepers(house: House) -> Asked:
    """Ask every keeper for the heads of ours that it holds; what we did not sign does not count."""
    keepers = keepers_of(house)
    with ThreadPoolExecutor(KEEPERS) as pool:
        answers = list(pool.map(lambda peer: _heads_at(house, peer), keepers))
    kept: list[KeptElsewhere] = []
    silent = []
    for peer, answer in zip(keepers, answers, strict=True):
        facility = str(peer.community.facility)
        if answer is None:
            silent.append(facility)
        else:
            kept += _ours(house, facility, answer)
    return Asked(tuple(kept), tuple(silent))


def _heads_at(house: House, peer: Peer) -> tuple[str, ...] | None:
    try:
        return read_strings(_ask(house, peer, "/fhir/AuditEvent/$kept-heads", []), "head")
    except PeerError:
        return None


def _ours(house: House, keeper: str, signatures: Sequence[str]) -> list[KeptElsewhere]:
    found = []
    for signature in signatures:
        try:
            head = seals.read_head(signature, home=house.home, keys=house.keys.ever())
            found.append(KeptElsewhere(keeper, head, signature))
        except SealBroken:
            log.warning("a peer keeps a head that we did not sign", facility=keeper)
    return found


def _ask(house: House, peer: Peer, path: str, parts: list[dict[str, str]]) -> dict[str, object]:
    asker = Requester("record", Role.SYSTEM, house.home)
    body = orjson.dumps(parameters(parts))
    answer = call_peer(house, Asking(asker), peer, method="POST", path=path, body=body)
    if answer.status != 200:
        raise PeerBroken(f"status-{answer.status}")
    try:
        found = orjson.loads(answer.body)
    except ValueError as error:
        raise PeerBroken("not-json") from error
    if not isinstance(found, dict):
        raise PeerBroken("not-json")
    return found
