"""Messages as they stand in tests/samples/hl7v2: one segment a line there, CR on the wire; every person is invented."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from adapters.hl7v2.authorities import Receiver
from adapters.hl7v2.message import Message, read_message
from registry.identifiers import FacilityCode, HomeCommunityId

FOLDER = Path(__file__).parents[2] / "samples" / "hl7v2"
OID = "2.25.4711.1"
RECEIVER = Receiver(
    home=HomeCommunityId("urn:oid:2.25.4711"),
    facility=FacilityCode("27001"),
    patient_id_system=f"urn:oid:{OID}",
    now=datetime(2026, 11, 23, 1, 0, tzinfo=UTC),
    own_names=frozenset({"27001"}),
    authorities={"BVB": "urn:oid:1.2.4"},
)


def sample(name: str) -> bytes:
    return (FOLDER / f"{name}.hl7").read_bytes().replace(b"\n", b"\r")


def message(name: str, **changed: str) -> Message:
    """A sample, with some of its words exchanged: `message("adt_a04", M1="M2")`."""
    text = sample(name).decode()
    for old, new in changed.items():
        assert old in text
        text = text.replace(old, new)
    return read_message(text.encode())
