"""Images whose patient is in doubt: kept, encrypted and unseen, until a registrar says whose they are.

A number that was typed into the wrong field would show one patient's images to another; a refusal would lose them,
since a modality deletes what it has sent.

Source: IHE RAD TF-2: 4.16 and ITI PIR (patient reconciliation); DICOM PS3.4: B.2.3 (warning of C-STORE).
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.register import contradicts_index, standing
from hie_node.house import House, new_id
from registry.errors import NotFound, VersionConflict
from registry.identifiers import PatientIdentifier
from registry.people import NOTHING_KNOWN, SourceRecord
from registry.studies import Quarantined, ReadInstance
from registry.submissions import Content, PatientMention

ANOTHER_PERSON = "the header describes somebody else than the index knows under this number"
ANOTHER_PATIENT = "this study is known for another patient"


def doubt_about(unit: UnitOfWork, mention: PatientMention, study_instance_uid: str) -> str:
    """Why nobody can say whose images these are; empty where it is clear."""
    known = unit.patients.record(mention.identifier)
    record = standing(unit, known) if known is not None else None
    if record is not None and contradicts_index(record, mention):
        return ANOTHER_PERSON
    owner = unit.studies.record_of(study_instance_uid)
    return "" if owner is None or (record is not None and is_merged_into(unit, owner, record)) else ANOTHER_PATIENT


def is_merged_into(unit: UnitOfWork, record_id: str, record: SourceRecord) -> bool:
    """Whether what belongs to the one belongs to the other: it is the same, or was merged into it."""
    owner = record if record_id == record.id else unit.patients.record_by_id(record_id)
    return owner is not None and standing(unit, owner).id == record.id


def set_aside(act: Act, parts: Sequence[tuple[ReadInstance, Content]], mention: PatientMention, reason: str) -> None:
    """Keep them under a key of their own. What is kept already stays as it came first."""
    act.patient = mention.identifier
    uid = parts[0][0].study.study_instance_uid
    with act.house.storage.read() as unit:
        known = unit.quarantine.waiting_of(uid, mention.identifier)
    aside = known or Quarantined(new_id(), uid, mention.identifier, mention.demographics, reason, act.now)
    present = {one.sop_instance_uid for one in aside.instances}
    with act.house.contents.batch():
        added = [
            replace(read.instance, content_hash=put.content_hash, size=put.size)
            for read, content in parts
            if read.instance.sop_instance_uid not in present
            and (put := act.house.contents.put(aside.id, content.chunks(), sha1=False))
        ]
    with act.unit() as unit:
        unit.takes_turns(f"set aside {uid}")
        now = unit.quarantine.waiting_of(uid, mention.identifier)
        if (known is not None and now is None) or (now is not None and now.id != aside.id):
            # somebody decided, or set aside, at this moment
            raise VersionConflict("quarantine", expected=aside.id, found=now.id if now else "decided")
        kept = now.instances if now else ()
        there = {one.sop_instance_uid for one in kept}
        fresh = (one for one in added if one.sop_instance_uid not in there)
        unit.quarantine.save(replace(aside, instances=(*kept, *fresh)))
        act.items.append(aside.id)


def waiting(act: Act) -> tuple[tuple[Quarantined, SourceRecord | None], ...]:
    """What waits for a registrar, the oldest first, each beside whom the index knows under its number."""
    with act.unit() as unit:
        found = unit.quarantine.waiting()
        act.items = [one.id for one in found]
        return tuple((one, unit.patients.record(one.patient)) for one in found)


def how_many_wait(house: House) -> int:
    """How many; of whom is not told."""
    with house.storage.read() as unit:
        return len(unit.quarantine.waiting())


def reject(act: Act, quarantine_id: str) -> None:
    """They are nobody's here: their key is destroyed, and with it every copy."""
    act.action, act.direction = "D", "changed"
    with act.unit() as unit:
        close(act, unit, waiting_one(unit, quarantine_id), "rejected")
    act.house.contents.erase(quarantine_id)


def waiting_one(unit: UnitOfWork, quarantine_id: str) -> Quarantined:
    found = unit.quarantine.one(quarantine_id)
    if found is None or found.closed is not None:
        raise NotFound("quarantine")
    return found


def close(act: Act, unit: UnitOfWork, aside: Quarantined, decision: str) -> None:
    act.patient, act.items = aside.patient, [aside.id]
    author = act.caller.requester.subject
    # of whom it spoke is not needed any more; what was decided is
    unit.quarantine.save(
        replace(aside, demographics=NOTHING_KNOWN, closed=act.now, closed_by=author, decision=decision)
    )


def close_all_of(act: Act, unit: UnitOfWork, patients: Container[PatientIdentifier]) -> list[str]:
    """What waits under these numbers goes with its patient; the owners of contents that are to be destroyed."""
    found = [aside for aside in unit.quarantine.waiting() if aside.patient in patients]
    for aside in found:
        close(act, unit, aside, "erased")
    return [aside.id for aside in found]
