"""What this node can do, and who else is in the network: from the catalogue and the directory, no more, no less."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from adapters.catalogue import TRANSACTIONS
from adapters.cdshooks.services import ListServices
from adapters.fhir.capability import DescribeNode, NodeDescription
from adapters.fhir.iti114_topics import FindTopics, ReadTopic, topic_id, topic_named
from consent.subscriptions import TOPICS, Topic
from hie_node.acts import Act
from registry.commands import Page, ReadDirectory
from registry.directory import Peer

PUBLISHED = datetime(2026, 11, 23, tzinfo=UTC)
"""When this set of transactions was put into use."""


def software_version() -> str:
    """Of the installed package; from a checkout, the development version."""
    try:
        return version("hie-node")
    except PackageNotFoundError:
        return "0.1.0.dev0"


def describe(act: Act, command: DescribeNode) -> NodeDescription:
    """`/metadata`."""
    return NodeDescription(TRANSACTIONS, software_version(), PUBLISHED)


def list_services(act: Act, command: ListServices) -> str:
    """`/cds-services`: which there are is the same for everybody; the name is the hospital's."""
    return act.house.settings.name


def read_directory(act: Act, command: ReadDirectory) -> tuple[Peer, ...]:
    """mCSD: the communities of the directory, this one included; nothing of a patient is in it."""
    return act.house.directory.current().peers


def find_topics(act: Act, command: FindTopics) -> Page[Topic]:
    """What can be subscribed to here, in the order of their ids."""
    found = tuple(sorted(filter(command.wants, TOPICS.values()), key=topic_id))
    return Page(found, total=len(found))


def read_topic(act: Act, command: ReadTopic) -> Topic:
    """Raises NotFound."""
    return topic_named(command.id)
