"""Images by study, series and object: each study decided for itself, all found before the first byte of one leaves.

Source: IHE RAD TF-2: 4.69.4.1.3, 4.75.4.1.3
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from adapters.dicom.multipart import Spool, SpooledPart
from adapters.peers.answers import BadAnswer
from adapters.peers.errors import PeerBroken, PeerError
from adapters.peers.xca_images import read_images
from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.archives import archive_of
from hie_node.flows.at_holder import is_as_listed, still_shown, take_line, way_back
from hie_node.flows.copies import AHEAD_DOOR
from hie_node.flows.fetch import still_permitted
from hie_node.flows.find import permitted_one
from hie_node.flows.gateway_call import open_images
from hie_node.flows.gateway_studies import images_of
from hie_node.flows.held import held_images, images_from_here
from hie_node.flows.images_by_wado import bring_images
from hie_node.flows.peer_call import Asking, Receipts
from hie_node.flows.streaming import Begun, Transfer, arriving
from hie_node.flows.written_requests import still_asked_for
from registry.ahead import Piece
from registry.commands import DocumentAsked, RelayedDocuments, Retrieved, RetrievedDocuments
from registry.documents import Attachment, DocumentEntry
from registry.errors import NoSuchCommunity, NoSuchRepository, NotFound, OtherForm
from registry.identifiers import HomeCommunityId, repository_of
from registry.image_sets import ImageAsked, RetrieveImages
from registry.manifests import DICOM_FILE
from registry.ports import RemoteEntry
from registry.studies import Instance, Study

Found = tuple[DocumentAsked, Retrieved]
Missing = tuple[DocumentAsked, Exception]


def retrieve_images(act: Act, command: RetrieveImages) -> RetrievedDocuments:
    """RAD-69 and RAD-75 out of this node's own index and store."""
    found: list[Found] = []
    missing: list[Missing] = []
    for uid, wanted in by_study(command.wanted).items():
        one = act.fork()
        here, absent = _of_study(one, uid, wanted, command.syntaxes)
        found += here
        missing += absent
        act.recorded, act.token_spent = act.recorded or one.recorded, act.token_spent or one.token_spent
        act.items += one.items
    return RetrievedDocuments(tuple(found), tuple(missing))


def fetch_images(act: Act, command: RetrieveImages) -> RetrievedDocuments:
    """RAD-69 over the network: each object from the community that it is asked of, by RAD-75 as it comes, or by
    WADO-RS; from here where it is the same here."""
    own, elsewhere = _parted(act, command.wanted)
    result = retrieve_images(act, replace(command, wanted=tuple(own))) if own else RetrievedDocuments(())
    asked_as = {mine.document: one.document for mine, one in own.items()}
    found = tuple((asked_as[asked], each) for asked, each in result.found)
    missing = [(asked_as[asked], error) for asked, error in result.missing]
    relayed: list[RelayedDocuments] = []
    for (home, uid), wanted in elsewhere.items():
        # each study is a question of its own to its holder, who takes an id once
        ask = replace(act.fork(), exchange="")
        try:
            flowing, absent = _remote(ask, home, uid, replace(command, wanted=tuple(wanted)))
            relayed += flowing
            missing += absent
        except (NotFound, NoSuchCommunity, PeerError) as error:
            missing += [(one.document, error) for one in wanted]
        act.recorded, act.token_spent = act.recorded or ask.recorded, act.token_spent or ask.token_spent
    if not act.recorded:
        with act.unit():
            pass  # that something was asked for and is nowhere is on record too
    return RetrievedDocuments(found, tuple(missing), tuple(relayed))


def _parted(
    act: Act, wanted: Sequence[ImageAsked]
) -> tuple[dict[ImageAsked, ImageAsked], dict[tuple[HomeCommunityId, str], list[ImageAsked]]]:
    """What this node answers out of its own index, asked of it, beside how it was asked for; the rest by its holder.

    An object that was handed in here as well is served from here, as WADO-RS serves it.
    """
    own: dict[ImageAsked, ImageAsked] = {}
    elsewhere: dict[tuple[HomeCommunityId, str], list[ImageAsked]] = {}
    here = act.house.home
    for one in wanted:
        home = one.document.home
        if home in (None, here):
            own[one] = one
            continue
        document = replace(one.document, home=here, repository=repository_of(here))
        mine = replace(one, document=document)
        if act.caller.door != AHEAD_DOOR and mine not in own and _is_own(act, one):
            own[mine] = one
        else:
            elsewhere.setdefault((home, one.study_instance_uid), []).append(one)
    return own, elsewhere


def _is_own(act: Act, asked: ImageAsked) -> bool:
    with act.house.storage.read() as unit:
        study = unit.studies.by_uid(asked.study_instance_uid)
    return study is not None and bool(study.selected(asked.series_instance_uid, asked.sop_instance_uid))


def images_over_soap(act: Act, piece: Piece) -> Iterator[Iterator[bytes]]:
    """The objects of a piece by RAD-75, each as it comes; nothing where the holder shows none. Raises PeerError."""
    answer = fetch_images(act, images_of(piece))
    for _, error in answer.missing:
        if isinstance(error, PeerError):
            raise error
    for relayed in answer.relayed:
        for _, content in relayed.parts:
            yield content


def _remote(
    act: Act, home: HomeCommunityId, uid: str, command: RetrieveImages
) -> tuple[list[RelayedDocuments], Sequence[Missing]]:
    """Objects of one study at the hospital that listed it; what was never listed here cannot be asked for."""
    if act.house.directory.current().peer(home) is None:
        raise NoSuchCommunity(str(home))
    listed: Callable[[UnitOfWork], RemoteEntry | None] = lambda unit: next(  # noqa: E731
        (one for one in unit.remote.listing(uid) if one.home == home), None
    )
    way = remote, peer, receipts = way_back(act, listed)
    # what is fetched ahead comes from its holder, whatever is here
    held = held_images(act, remote, command) if act.caller.door != AHEAD_DOOR else None
    if "fhir" in peer.speaks and (held is not None or "xca" not in peer.speaks):
        return bring_images(act, way, command, held)
    # it may have been listed by its manifest, and what counts is how the study stands
    as_study = replace(remote, kind="study"), peer, receipts
    if held is not None and is_as_listed(act, as_study, held):
        return images_from_here(act, held, command, still_shown(act, held, receipts))
    stack, deadline = ExitStack(), time.monotonic() + act.house.settings.limits.open_budget
    asking = Asking(act.caller.requester, receipts, act.exchange)
    take_line(act, peer, stack)
    try:
        stream, kind = open_images(act.house, asking, peer, command, stack, deadline=deadline)
        images = read_images(stream.chunks(), kind, command)
        if not images.listed:
            stack.close()
            return [], images.missing
        flowing = Begun(_relay(act, stack, images.parts, receipts))
    except BadAnswer as error:
        stack.close()
        raise PeerBroken(error.reason, home) from error
    except (NotFound, PeerError):
        stack.close()
        raise
    return [RelayedDocuments(images.listed, flowing)], images.missing


def _relay(
    act: Act, stack: ExitStack, parts: Iterator[tuple[int, Iterator[bytes]]], receipts: Receipts
) -> Iterator[tuple[int, Iterator[bytes]]]:
    """Pass on what the holder sends as one transfer; closing here closes there."""
    with stack, Transfer(arriving(act), lambda: still_asked_for(act, receipts)) as transfer:
        try:
            for place, content in parts:
                yield place, transfer.pass_on(content)
        except BadAnswer as error:
            raise PeerBroken("other-bytes", act.other) from error
        transfer.finish()


def by_study(wanted: Sequence[ImageAsked]) -> dict[str, list[ImageAsked]]:
    """In the order in which the studies were named first."""
    studies: dict[str, list[ImageAsked]] = {}
    for one in wanted:
        studies.setdefault(one.study_instance_uid, []).append(one)
    return studies


def _of_study(
    act: Act, uid: str, wanted: Sequence[ImageAsked], syntaxes: frozenset[str]
) -> tuple[list[Found], list[Missing]]:
    """What is here of one study, under one decision and one transfer."""
    try:
        with act.unit() as unit:
            study = permitted_one(act, unit, unit.studies.by_uid(uid), "study")
    except NotFound as error:
        return [], [(one.document, _misdirected(act, one.document) or error) for one in wanted]
    opened: list[tuple[DocumentAsked, Instance, Callable[[], Iterator[bytes]]]] = []
    missing: list[Missing] = []
    for one in wanted:
        try:
            opened.append((one.document, *_object(act, study, one, syntaxes)))
        except (NotFound, OtherForm) as error:
            missing.append((one.document, error))
    run = Run(Transfer(act, lambda: still_permitted(act, study)), len(opened))
    return [(asked, _as_document(study, instance, run.part(read))) for asked, instance, read in opened], missing


def _misdirected(act: Act, asked: DocumentAsked) -> NotFound | None:
    """Whoever asks in the wrong place is told so, whatever they ask for."""
    if asked.home not in (None, act.house.home):
        return NoSuchCommunity(str(asked.home))
    if asked.repository != repository_of(act.house.home):
        return NoSuchRepository(asked.repository)
    return None


def _object(
    act: Act, study: Study, asked: ImageAsked, syntaxes: frozenset[str]
) -> tuple[Instance, Callable[[], Iterator[bytes]]]:
    """One object, and how its bytes are read when its turn has come. Raises NotFound and OtherForm."""
    wrong = _misdirected(act, asked.document)
    if wrong is not None:
        raise wrong
    instance = next(iter(study.selected(asked.series_instance_uid, asked.sop_instance_uid)), None)
    if instance is None:
        raise NotFound("instance")
    read: Callable[[], Iterator[bytes]]
    if instance.content_hash:
        read = _Stored(act, study.record_id, instance.content_hash)
    else:
        instance, part = _brought(act, study, asked, instance)
        read = lambda: iter(part.chunks())  # noqa: E731
    if instance.transfer_syntax not in syntaxes:
        raise OtherForm(instance.transfer_syntax)
    return instance, read


@dataclass(frozen=True, slots=True)
class _Stored:
    """Bytes in the own store, opened when they are read: a study has more objects than a process may open files."""

    act: Act
    owner: str
    content_hash: str

    def __call__(self) -> Iterator[bytes]:
        return self.act.house.contents.open(self.owner, self.content_hash)


def _brought(act: Act, study: Study, asked: ImageAsked, instance: Instance) -> tuple[Instance, SpooledPart]:
    """An object of the hospital's own PACS, which alone knows its size and form: into a file without a name first."""
    path = (study.study_instance_uid, asked.series_instance_uid, instance.sop_instance_uid)
    with archive_of(act.house, study).opened(path) as objects:
        for uid, syntax, chunks in objects:
            if uid == instance.sop_instance_uid:
                spool = Spool(str(act.house.settings.spool))
                start, size = spool.add(chunks)
                part = SpooledPart(spool.path, start, size, spool)
                return replace(instance, transfer_syntax=syntax, size=size), part
    raise NotFound("instance")


def _as_document(study: Study, instance: Instance, content: Iterator[bytes]) -> Retrieved:
    """An object as the document that it is asked for as."""
    entry = DocumentEntry(
        id=study.id,
        entry_uuid="",
        unique_id=f"urn:oid:{instance.sop_instance_uid}",
        patient=study.patient,
        record_id=study.record_id,
        attachment=Attachment(DICOM_FILE, instance.size, "0" * 40, instance.content_hash),
    )
    return Retrieved(entry, content, instance.size)


@dataclass(slots=True)
class Run:
    """Several objects that leave one after the other as one transfer: ended with the last, or where one is let go."""

    transfer: Transfer
    left: int

    def part(self, read: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
        return _Part(self, read)

    def one_is_through(self) -> None:
        self.left -= 1
        if not self.left:
            self.transfer.finish()
            self.transfer.end(True)


@dataclass(slots=True)
class _Part(Iterator[bytes]):
    run: Run
    read: Callable[[], Iterator[bytes]]
    content: Iterator[bytes] | None = field(default=None)
    through: bool = False

    def __next__(self) -> bytes:
        if self.content is None:
            self.content = self.run.transfer.pass_on(self.read())
        piece = next(self.content, None)
        if piece is not None:
            return piece
        if not self.through:
            self.through = True
            self.run.one_is_through()
        raise StopIteration

    def close(self) -> None:
        """Let go: what was not read to its end makes the whole run one that was broken off."""
        close = getattr(self.content, "close", None)
        if close is not None:
            close()
        self.run.transfer.end(False)
