"""Open something at the hospital that holds it: the way back to it, its decision, and what flows through from there.

Whoever waits for it has the line meanwhile; a transfer ahead has what its budget leaves (`hie_node/lines.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerBroken, PeerError, PeerTooSlow, PeerUnreachable
from adapters.peers.transport import PeerStream
from adapters.store.unit import UnitOfWork
from consent.decide import Item
from consent.reasons import Reason
from consent.reconciling import LISTED
from hie_node.acts import Act
from hie_node.flows.copies import AHEAD_DOOR, bring_again
from hie_node.flows.gateway_studies import state_listed
from hie_node.flows.held import Held, may_show_alone, refuse_closed, still_held, tell_later
from hie_node.flows.identify import Identified, by_identifier
from hie_node.flows.peer_call import Asking, Receipts, stream_from_peer
from hie_node.flows.streaming import Transfer, arriving
from hie_node.flows.written_requests import refuses, requests_to, still_asked_for
from registry.directory import Peer
from registry.errors import NotFound
from registry.ports import RemoteEntry

SAME = 304


def way_back(act: Act, find: Callable[[UnitOfWork], RemoteEntry | None]) -> tuple[RemoteEntry, Peer, Receipts]:
    """The hospital that listed it, and the requests that open it there. Asking is written down first."""
    act.direction = "asked"
    with act.unit() as unit:
        remote = find(unit)
        peer = act.house.directory.current().peer(remote.home) if remote else None
        if remote is None or peer is None:
            raise NotFound("this entry of another hospital")
        act.other = remote.home
        act.items = [remote.id]
        person = by_identifier(unit, remote.question)
        if person is not None:
            act.about(person.first)
            refuse_forbidden(act, unit, person, remote)
        receipts = requests_to(act, unit, peer, person)
        return remote, peer, receipts


def refuse_forbidden(act: Act, unit: UnitOfWork, person: Identified, remote: RemoteEntry) -> None:
    """The patient said no at this hospital, of which the holder knows nothing. Raises NotFound."""
    wanted = Item(id=remote.remote_id, unique_id=remote.unique_id or remote.study_instance_uid or "")
    if refuses(act, remote.home, unit.consents.of_records(person.record_ids), wanted):
        act.reasons[Reason.PATIENT_REFUSED.value] += 1
        raise NotFound("this entry of another hospital")


def ask_holder(
    act: Act,
    way: tuple[RemoteEntry, Peer, Receipts],
    held: Held | None,
    stack: ExitStack,
    *,
    path: str,
    accept: str,
    range_: str = "",
) -> PeerStream | None:
    """What the holder sends; None where the copy that is held here is the same and may be shown."""
    remote, peer, receipts = way
    if "fhir" not in peer.speaks:
        if held is None or not is_as_listed(act, way, held):
            raise NotFound("this entry of another hospital, before its copy is here")
        return None
    if held is not None:
        refuse_closed(act, held)
    try:
        stream = _opened(act, peer, stack, path=path, accept=accept, receipts=receipts, range_=range_, held=held)
    except (PeerUnreachable, PeerTooSlow):
        if held is None or not may_show_alone(act, held):
            raise
        tell_later(act, held, remote, path=path, accept=accept)
        return None
    except NotFound:
        if held is not None:
            _look_again(act, held)
        raise
    if stream.status != SAME:
        if held is not None:
            _look_again(act, held)
        return stream
    stack.close()
    return None


def is_as_listed(act: Act, way: tuple[RemoteEntry, Peer, Receipts], held: Held) -> bool:
    """For a hospital that speaks only SOAP, which knows no condition: whether it lists what is held here as it is.

    It decides and records what it lists. Raises NotFound where it shows it no more.
    """
    remote, peer, receipts = way
    refuse_closed(act, held)
    asking = Asking(act.caller.requester, receipts, act.exchange + LISTED)
    try:
        state = state_listed(act, asking, peer, remote)
    except BadAnswer as error:
        raise PeerBroken(error.reason, peer.home) from error
    except (PeerUnreachable, PeerTooSlow):
        if not may_show_alone(act, held):
            raise
        tell_later(act, held, remote)
        return True
    if state != held.state:
        _look_again(act, held)
    if state is None:
        raise NotFound("this entry of another hospital")
    return state == held.state


def take_line(act: Act, peer: Peer, stack: ExitStack) -> None:
    """Somebody waits for what comes; a transfer ahead takes what is left."""
    if act.caller.door != AHEAD_DOOR:
        stack.enter_context(act.house.lines.waited_for(peer.home))


def _look_again(act: Act, held: Held) -> None:
    with act.house.storage.begin() as unit:
        bring_again(unit, held.whole.id, act)


def _opened(
    act: Act,
    peer: Peer,
    stack: ExitStack,
    *,
    path: str,
    accept: str,
    receipts: Receipts,
    range_: str,
    held: Held | None,
) -> PeerStream:
    """Open the transfer at the holder, who decides again. What it refuses is not here."""
    take_line(act, peer, stack)
    try:
        stream = stack.enter_context(
            stream_from_peer(
                act.house,
                Asking(act.caller.requester, receipts, act.exchange),
                peer,
                path=path,
                accept=accept,
                range_=range_,
                known=held.tag if held else "",
            )
        )
        if stream.status in (403, 404, 410):
            raise NotFound("this entry of another hospital")
        if stream.status != (206 if range_ else 200) and not (held is not None and stream.status == SAME):
            raise PeerBroken(f"status-{stream.status}")
        return stream
    except (NotFound, PeerError):
        stack.close()
        raise


def relay(act: Act, stack: ExitStack, content: Iterator[bytes], receipts: Receipts) -> Iterator[bytes]:
    """Pass on what the holder sends; closing here closes there, and a request taken back here stops it at once."""
    with stack, Transfer(arriving(act), lambda: still_asked_for(act, receipts)) as transfer:
        yield from transfer.pass_on(content)
        transfer.finish()


def still_shown(act: Act, held: Held, receipts: Receipts) -> Callable[[], bool]:
    """For a copy on its way to the screen: nobody took it away, and a request that opened it holds."""
    return lambda: still_held(act, held) and still_asked_for(act, receipts)
