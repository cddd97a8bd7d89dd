"""Every message with one element, attribute or text broken gets an answer of its language, never a fault of ours."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from lxml import etree

from tests.conformance.changes import (
    REMOVE,
    REMOVE_BYTES,
    UPDATE,
    Change,
    Revised,
    bytes_removal,
    new_link,
    removal,
    revision,
    status_change,
)
from tests.conformance.images import RETRIEVE_IMAGES, image_request
from tests.conformance.soap import (
    APPROVED,
    ASSOCIATION,
    HAS_MEMBER,
    ITI,
    Document,
    FolderOf,
    SoapClient,
    Submission,
    X,
    envelope,
    query,
)

ROUNDS = int(os.environ.get("SOAP_MUTATIONS", "50"))
NONSENSE = (
    "",
    " ",
    "x" * 300,
    "'",
    "('",
    "-1",
    "²",
    "urn:uuid:",
    "^^^&&",
    "\u202e",
    "1e9",
    "A^^^&2.25.1&ISO^^",
    "%",
    "../..",
)


def messages(soap: SoapClient) -> dict[str, tuple[str, bytes]]:
    """One good message of each transaction at the house door, all in one envelope."""
    links = [(HAS_MEMBER, "Folder01", "Document01", ""), (ASSOCIATION + "APND", "Document02", "Document01", "")]
    said = Submission("A1", [Document("A1"), Document("A1", id="Document02")], [FolderOf("A1")], links)
    documents = "".join(f'<x:Document id="Document0{n}">JVBERg==</x:Document>' for n in (1, 2))
    provide = f'<x:ProvideAndRegisterDocumentSetRequest xmlns:x="{X}">{said.xml(soap)}{documents}'
    patient = f"'{soap.cx('A1')}'"
    find = query(
        "FindDocuments",
        ("$XDSDocumentEntryPatientId", patient),
        ("$XDSDocumentEntryStatus", f"('{APPROVED}')"),
        ("$XDSDocumentEntryTypeCode", "('1^^2.25.1')"),
        ("$XDSDocumentEntryCreationTimeFrom", "2026"),
        ("$XDSDocumentEntryAuthorPerson", "('%')"),
    )
    retrieve = f'<x:RetrieveDocumentSetRequest xmlns:x="{X}"><x:DocumentRequest><x:HomeCommunityId>'
    retrieve += f"{soap.hospital.home}</x:HomeCommunityId><x:RepositoryUniqueId>{soap.repository}"
    retrieve += "</x:RepositoryUniqueId><x:DocumentUniqueId>2.25.1</x:DocumentUniqueId></x:DocumentRequest>"
    related = query(
        "GetRelatedDocuments",
        ("$XDSDocumentEntryUniqueId", "'2.25.1'"),
        ("$AssociationTypes", f"('{ASSOCIATION}APND')"),
    )
    return {
        "ITI-41": (
            "/xds/repository",
            envelope(f"{ITI}ProvideAndRegisterDocumentSet-b", provide + "</x:ProvideAndRegisterDocumentSetRequest>"),
        ),
        "ITI-57": ("/xds/registry", envelope(UPDATE, _change(soap))),
        "ITI-62": ("/xds/registry", envelope(REMOVE, removal(uuid4().urn, uuid4().urn))),
        "ITI-86": ("/xds/repository", envelope(REMOVE_BYTES, bytes_removal("2.25.1", soap.repository))),
        "RAD-69": ("/xds/repository", envelope(RETRIEVE_IMAGES, image_request("1.2", "1.3", "45", repository="1.6"))),
        "ITI-42": ("/xds/registry", envelope(f"{ITI}RegisterDocumentSet-b", said.xml(soap))),
        "ITI-18": ("/xds/registry", envelope(f"{ITI}RegistryStoredQuery", find)),
        "ITI-18 related": ("/xds/registry", envelope(f"{ITI}RegistryStoredQuery", related)),
        "ITI-18 everywhere": ("/xca/initiating", envelope(f"{ITI}RegistryStoredQuery", find)),
        "ITI-43": (
            "/xca/initiating",
            envelope(f"{ITI}RetrieveDocumentSet", retrieve + "</x:RetrieveDocumentSetRequest>"),
        ),
    }


def _change(soap: SoapClient) -> str:
    new = Revised("A1", lid=uuid4().urn)
    operations = [
        revision(new, "1.1"),
        status_change(uuid4().urn, "Approved", "Deprecated"),
        new_link(HAS_MEMBER, uuid4().urn, uuid4().urn),
    ]
    return Change("A1", [new], operations=operations).xml(soap)


def mutated(message: bytes, chance: random.Random) -> bytes:
    root = etree.fromstring(message)
    one = chance.choice([each for each in root.iter() if each is not root])
    chance.choice(_MUTATIONS)(one, chance)
    return etree.tostring(root)


def _removed(one: Any, chance: random.Random) -> None:
    one.getparent().remove(one)


def _twice(one: Any, chance: random.Random) -> None:
    one.addnext(copy.deepcopy(one))


def _emptied(one: Any, chance: random.Random) -> None:
    for each in list(one):
        one.remove(each)


def _renamed(one: Any, chance: random.Random) -> None:
    one.tag = chance.choice(("{urn:x}y", etree.QName(one).localname))


def _said(one: Any, chance: random.Random) -> None:
    one.text = chance.choice(NONSENSE)


def _attribute(one: Any, chance: random.Random) -> None:
    names = list(one.attrib)
    if names:
        one.set(chance.choice(names), chance.choice(NONSENSE))


def _unset(one: Any, chance: random.Random) -> None:
    for name in list(one.attrib)[:1]:
        del one.attrib[name]


def _nested(one: Any, chance: random.Random) -> None:
    one.append(copy.deepcopy(one))


_MUTATIONS: tuple[Callable[[Any, random.Random], None], ...] = (
    _removed, _twice, _emptied, _renamed, _said, _said, _attribute, _attribute, _unset, _nested,
)  # fmt: skip


NAMES = (
    "ITI-41",
    "ITI-42",
    "ITI-18",
    "ITI-18 related",
    "ITI-18 everywhere",
    "ITI-43",
    "ITI-57",
    "ITI-62",
    "ITI-86",
    "RAD-69",
)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_broken_is_answered(soap: SoapClient, name: str) -> None:
    path, good = messages(soap)[name]
    chance = random.Random(name)
    for _ in range(ROUNDS):
        broken = mutated(good, chance)
        answer = soap.sends(path, "application/soap+xml", broken)
        assert answer.status < 500, broken
        assert answer.all(".//s:Fault") or answer.outcome
