"""Imaging manifests of this hospital's own studies: made when they are asked for, decided like the study itself.

Source: IHE RAD TF-2: 4.68.4.1.2
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from uuid import UUID

from adapters.dicom.manifest import Source, write_manifest
from adapters.store.unit import UnitOfWork
from consent.consents import Consent
from hie_node.acts import Act
from hie_node.house import House
from registry.documents import Attachment, DocumentEntry, DocumentStatus
from registry.identifiers import repository_of
from registry.manifests import Manifest, entry_of, key_of
from registry.people import NOTHING_KNOWN, Demographics
from registry.searches import DocumentSearch, StudySearch
from registry.studies import Study

_AT_ONCE = 500


def manifests_in(
    act: Act, unit: UnitOfWork, search: DocumentSearch, consents: Sequence[Consent]
) -> list[DocumentEntry]:
    """What a search for documents of one person finds among the manifests of their studies."""
    if not search.manifests or DocumentStatus.CURRENT not in (search.statuses or (DocumentStatus.CURRENT,)):
        return []
    found = unit.studies.find(StudySearch(record_ids=search.record_ids, limit=_AT_ONCE))
    listed = ((study, entry_for(act.house, unit, study)) for study in found if study.instance_count)
    return [entry for study, entry in listed if search.accepts(entry) and act.judge(study, consents).permit]


def studies_of(unit: UnitOfWork, identifiers: Iterable[str], house: House) -> Iterator[tuple[Study, DocumentEntry]]:
    """The studies whose manifests, as they are now, have one of these ids."""
    for identifier in identifiers:
        key = key_of(identifier)
        for study in unit.studies.by_manifest_key(key) if key else ():
            entry = entry_for(house, unit, study)
            if identifier in (entry.entry_uuid, entry.unique_id) and study.instance_count:
                yield study, entry


def manifest_of(house: House, unit: UnitOfWork, study: Study) -> Manifest:
    """The manifest of a study as the index knows it now."""
    settings = house.settings
    dicomweb = f"{settings.house.url}/dicomweb" if settings.mado else ""
    return write_manifest(study, _whose(unit, study), Source(repository_of(house.home), settings.dicom_aet, dicomweb))


def entry_for(house: House, unit: UnitOfWork, study: Study) -> DocumentEntry:
    """What the registry says of the manifest; remembered, since making it takes long for a large study."""
    key = (house.home, study.id, study.version, study.updated, study.instance_count, hash(_whose(unit, study)))
    known = _REMEMBERED.get(key)
    if known is None:
        made = manifest_of(house, unit, study).entry
        known = UUID(made.entry_uuid), replace(made.attachment, title=None)
        if len(_REMEMBERED) >= _MOST:
            _REMEMBERED.clear()
        _REMEMBERED[key] = known
    # how closed the study is may have changed since
    return entry_of(study, *known)


_MOST = 2_000
_REMEMBERED: dict[tuple[object, ...], tuple[UUID, Attachment]] = {}
"""Ids, sizes and hashes of manifests, by the version of their study: no bytes, and nothing of whose they are."""


def _whose(unit: UnitOfWork, study: Study) -> Demographics:
    record = unit.patients.record_by_id(study.record_id)
    return record.demographics if record else NOTHING_KNOWN
