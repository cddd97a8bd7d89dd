"""A registrar says whose images in quarantine are; they are stored like any that came without doubt."""

from __future__ import annotations

from dataclasses import replace

from adapters.dicom.multipart import Spool
from adapters.dicom.part10 import read_instance
from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.quarantine import close, is_merged_into, waiting_one
from hie_node.flows.register import standing
from hie_node.flows.store_instances import index
from registry.commands import Stored
from registry.errors import NotFound, PatientMismatch
from registry.identifiers import PatientIdentifier
from registry.people import SourceRecord
from registry.studies import Instance, Quarantined, ReadInstance


def release(act: Act, quarantine_id: str, patient: PatientIdentifier) -> Stored:
    """Store them for this patient of this hospital. Raises NotFound for a patient whom nobody knows here,
    PatientMismatch where the rest of the study belongs to somebody else: that is to be mended first."""
    act.action, act.direction = "C", "published"
    with act.house.storage.read() as unit:
        aside = waiting_one(unit, quarantine_id)
        record = _whose(unit, aside, patient)
    with act.house.contents.batch():
        reads = [_moved(act, aside, instance, record) for instance in aside.instances]
    with act.unit() as unit:
        if _whose(unit, waiting_one(unit, quarantine_id), patient).id != record.id:
            raise NotFound("patient")
        if not act.house.contents.holds(unit, record.id, (read.instance.content_hash for read in reads)):
            raise NotFound("patient")  # erased in the same moment
        result = index(act, unit, record, reads, [read.instance for read in reads])
        stored = list(act.items)
        close(act, unit, aside, f"belongs to {record.id}")
        act.about(record)
        act.items += stored
    act.house.contents.erase(quarantine_id)
    return result


def _whose(unit: UnitOfWork, aside: Quarantined, patient: PatientIdentifier) -> SourceRecord:
    known = unit.patients.record(patient)
    if known is None:
        raise NotFound("patient")
    record = standing(unit, known)
    owner_id = unit.studies.record_of(aside.study_instance_uid)
    if owner_id is None:
        return record
    owner = unit.patients.record_by_id(owner_id)
    if owner is None or not is_merged_into(unit, owner_id, record):
        raise PatientMismatch("patient", expected="whom the rest of the study belongs to", found="another one")
    return owner


def _moved(act: Act, aside: Quarantined, instance: Instance, record: SourceRecord) -> ReadInstance:
    """Read again from what was kept, and written under the key of its patient."""
    spool = Spool(str(act.house.settings.spool))
    spool.add(act.house.contents.open(aside.id, instance.content_hash))
    read = read_instance(spool.path, size=spool.size, own_issuer=act.house.settings.patient_id_system)
    put = act.house.contents.put(record.id, act.house.contents.open(aside.id, instance.content_hash), sha1=False)
    return replace(read, instance=replace(read.instance, content_hash=put.content_hash, size=put.size))
