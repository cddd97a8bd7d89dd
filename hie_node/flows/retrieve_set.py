"""Several documents in one answer: each decided for itself, all found before the first byte of one leaves.

Source: IHE ITI TF-2: 3.43.4.1.3, 3.39.4.1.3
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from adapters.peers.errors import PeerError
from hie_node.acts import Act
from hie_node.flows.fetch import fetch_document, retrieve_document, retrieve_manifest
from hie_node.flows.fetch_manifest import fetch_manifest, is_made_here
from hie_node.flows.on_demand import make_summary
from registry.commands import DocumentAsked, Retrieved, RetrievedDocuments, RetrieveDocument, RetrieveDocuments
from registry.errors import NoSuchCommunity, NoSuchRepository, NotFound
from registry.identifiers import repository_of
from registry.manifests import key_of
from registry.on_demand import record_of

Open = Callable[[Act, DocumentAsked], Retrieved]


def retrieve_documents(act: Act, command: RetrieveDocuments) -> RetrievedDocuments:
    """ITI-43 and ITI-39 out of this node's own store."""
    return _each(act, command, _own)


def fetch_documents(act: Act, command: RetrieveDocuments) -> RetrievedDocuments:
    """ITI-43 over the network: each document from the community that it names."""
    return _each(act, command, lambda one, asked: _own(one, asked) if _is_ours(one, asked) else _remote(one, asked))


def _each(act: Act, command: RetrieveDocuments, open_one: Open) -> RetrievedDocuments:
    found: list[tuple[DocumentAsked, Retrieved]] = []
    missing: list[tuple[DocumentAsked, Exception]] = []
    for asked in command.wanted:
        # each is a question of its own to its holder, who takes an id once
        one = replace(act.fork(), exchange="")
        try:
            found.append((asked, open_one(one, asked)))
        except (NotFound, NoSuchRepository, NoSuchCommunity, PeerError) as error:
            missing.append((asked, error))
        act.recorded, act.token_spent = act.recorded or one.recorded, act.token_spent or one.token_spent
        act.items += one.items
    if not act.recorded:
        with act.unit():
            pass  # that something was asked for and is not here is on record too
    return RetrievedDocuments(tuple(found), tuple(missing))


def _is_ours(act: Act, asked: DocumentAsked) -> bool:
    return asked.home in (None, act.house.home)


def _own(act: Act, asked: DocumentAsked) -> Retrieved:
    if not _is_ours(act, asked):
        raise NoSuchCommunity(str(asked.home))
    if asked.repository != repository_of(act.house.home):
        raise NoSuchRepository(asked.repository)
    with act.house.storage.read() as unit:
        entry = unit.documents.by_unique_id(asked.unique_id)
    if entry is None and key_of(asked.unique_id):
        return retrieve_manifest(act, asked.unique_id)
    if entry is None and (record_id := record_of(asked.unique_id)):
        return make_summary(act, record_id)
    if entry is None or entry.repository is not None:
        raise NotFound("document")
    return retrieve_document(act, RetrieveDocument(entry.id))


def _remote(act: Act, asked: DocumentAsked) -> Retrieved:
    """A document that another hospital listed; what was never listed here cannot be asked for."""
    assert asked.home is not None
    if act.house.directory.current().peer(asked.home) is None:
        raise NoSuchCommunity(str(asked.home))
    with act.house.storage.read() as unit:
        listed = [one for one in unit.remote.of_document(asked.unique_id) if one.home == asked.home]
    if not listed:
        raise NotFound("document of another hospital")
    if is_made_here(listed[0]):
        return fetch_manifest(act, listed[0])
    return fetch_document(act, RetrieveDocument(listed[0].id))
