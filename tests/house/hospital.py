"""A hospital's node in this process, with its own keys, certificates and database below a temporary folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapters.hl7v2.message import Message, read_message
from hie_node.bootstrap import build
from hie_node.hl7v2 import Handled, handle
from hie_node.house import House
from hie_node.init import NewNode, create, derived_community
from hie_node.setting_tables import Mllp
from registry.documents import DocumentEntry, DocumentStatus
from registry.identifiers import FacilityCode, PatientIdentifier
from registry.people import SourceRecord
from registry.searches import DocumentSearch
from tests.conformance.hl7v2 import refuse_faulty

OID = "2.25.4711.1"
SYSTEM = f"urn:oid:{OID}"
ONE_MESSAGE = re.compile(r"[\r\n]+")


def make_house(folder: Path, **settings: Any) -> House:
    """A lab node of Bắc Ninh; `settings` replace those of `hie init`."""
    mllp = settings.pop("mllp", Mllp())
    node = NewNode(
        name="Bệnh viện đa khoa Bắc Ninh",
        facility_code=FacilityCode("27001"),
        home_community_id=derived_community("27001"),
        patient_id_system=SYSTEM,
        lab=settings.pop("lab", True),
        mllp_port=settings.pop("mllp_port", 0),
        dicom_port=settings.pop("dicom_port", 0),
        database_url=settings.pop("database_url", ""),
    )
    made = create(folder / "node", node)
    return build(replace(made, mllp=mllp, **settings))


def written(text: str, charset: str = "utf-8") -> bytes:
    """A message as it is sent: one segment a line, the ends as CR, the hospital's OID filled in."""
    return ("\r".join(ONE_MESSAGE.split(text.strip().replace("OWN", f"&{OID}&ISO"))) + "\r").encode(charset)


class Hospital:
    """What tests look at: messages in, answers out, and what the node then knows.

    Every answer is held against the standard before a test sees it.
    """

    def __init__(self, house: House) -> None:
        self.house = house

    def tell(self, text: str | bytes) -> Message:
        """One message; gives the one answer."""
        handled = self.handled(text)
        assert len(handled.answers) == 1
        return read_message(handled.answers[0])

    def handled(self, text: str | bytes) -> Handled:
        handled = handle(self.house, written(text) if isinstance(text, str) else text)
        for answer in handled.answers:
            refuse_faulty(answer)
        return handled

    def record(self, number: str) -> SourceRecord | None:
        with self.house.storage.read() as unit:
            return unit.patients.record(PatientIdentifier(SYSTEM, number))

    def person(self, number: str) -> str | None:
        record = self.record(number)
        with self.house.storage.read() as unit:
            return unit.patients.person_of(record.id) if record else None

    def documents(self, number: str, *, only_current: bool = True) -> list[DocumentEntry]:
        """Of the person behind a number, as a question would find them."""
        person = self.person(number)
        statuses = (DocumentStatus.CURRENT,) if only_current else None
        with self.house.storage.read() as unit:
            ids = tuple(record.id for record in unit.patients.records_of(person)) if person else ()
            return list(unit.documents.find(DocumentSearch(record_ids=ids, statuses=statuses)))

    def text(self, entry: DocumentEntry) -> str:
        return self.content(entry).decode()

    def content(self, entry: DocumentEntry) -> bytes:
        return b"".join(self.house.contents.open(entry.record_id, entry.attachment.content_hash))

    def rows(self) -> int:
        """How much is on record."""
        with self.house.storage.read() as unit:
            return len(unit.disclosures.unsealed(1000))


def code(answer: Message) -> str:
    return answer.one("MSA").text(1)


def error(answer: Message) -> tuple[str, str, str]:
    """MSA-1, where, and the code of table 0357."""
    err = answer.one("ERR")
    return code(answer), err.field(2), err.text(3)


MakeHouse = Callable[..., House]
