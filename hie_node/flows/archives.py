"""The hospital's own PACS: its studies are indexed here, its pixels come from there when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from adapters.dicom.multipart import Spool, SpooledPart
from hie_node.acts import Act
from hie_node.flows.quarantine import doubt_about
from hie_node.flows.register import resolve_mention
from hie_node.flows.store_instances import index, mention_of, owner_of
from hie_node.house import House, new_id
from registry.errors import ArchiveUnavailable, NotFound, SubmissionRejected
from registry.ports import Archive
from registry.studies import Instance, ReadInstance, Study


def index_archived(act: Act, archive: str, reads: Sequence[ReadInstance]) -> str:
    """Make one study of an archive known here; why it could not be, or empty. Whose study is in doubt stays there."""
    act.action, act.direction = "C", "published"
    first = reads[0]
    if first.patient is None:
        return "no patient id"
    mention = mention_of(act.house, first)
    same = [
        replace(read, study=replace(read.study, archive=archive)) for read in reads if read.patient == first.patient
    ]
    try:
        with act.unit() as unit:
            uid = first.study.study_instance_uid
            if doubt := doubt_about(unit, mention, uid):
                act.patient = mention.identifier
                return doubt
            owner = owner_of(unit, mention, uid)
            record = resolve_mention(act, unit, mention, new_record_id=owner or new_id())
            if owner is not None:
                record = unit.patients.record_by_id(owner) or record
            index(act, unit, record, same, [read.instance for read in same])
    except SubmissionRejected as refusal:
        return str(refusal)
    return ""


def archive_of(house: House, study: Study) -> Archive:
    """Where objects of the study lie that are not in the own store."""
    found = house.archives.get(study.archive or "")
    if found is None:
        raise ArchiveUnavailable("not configured")
    return found


def from_archive(
    house: House, study: Study, wanted: Sequence[Instance], path: tuple[str, ...]
) -> Iterator[tuple[Instance, Iterator[bytes]]]:
    """The wanted objects as the archive sends them; what the index does not know yet is passed over."""
    known = {instance.sop_instance_uid: instance for instance in wanted}
    with archive_of(house, study).opened(path) as objects:
        for uid, syntax, chunks in objects:
            instance = known.pop(uid, None)
            if instance is not None:
                yield replace(instance, transfer_syntax=syntax), chunks
    if known:
        raise ArchiveUnavailable("some objects were not sent")


def brought(house: House, study: Study, instance: Instance, path: tuple[str, ...]) -> SpooledPart:
    """One object in a file without a name, to be read here and there."""
    spool = Spool(str(house.settings.spool))
    for _, chunks in from_archive(house, study, [instance], path):
        spool.add(chunks)
        return SpooledPart(spool.path, 0, spool.size, spool)
    raise NotFound("instance")
