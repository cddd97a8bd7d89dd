"""What this node can do: made from the catalogue, so that it never says more or less than is true."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from adapters.catalogue import TRANSACTIONS
from adapters.cdshooks.services import ListServices
from adapters.fhir.capability import DescribeNode, NodeDescription
from hie_node.acts import Act

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
