"""Manifests of studies at a hospital that speaks no SOAP, for systems of ours that speak nothing else.

Such a hospital lists its studies over FHIR, and what a manifest says follows from that. It is made again when it is
retrieved, of what the holder lists then: a study that has grown has another manifest, and the old id leads nowhere.

Source: IHE RAD TF-2: 4.68.4.1.2
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from adapters.dicom.manifest import Source, write_manifest
from registry.documents import DocumentEntry
from registry.identifiers import repository_of
from registry.manifests import Manifest
from registry.people import PatientInQuestion
from registry.studies import Study


def manifests_of(studies: Iterable[Study], patient: PatientInQuestion) -> tuple[DocumentEntry, ...]:
    """What a search for documents finds of them; a study whose objects the holder does not list has none."""
    return tuple(made_of(study, patient).entry for study in studies if study.instance_count and study.home)


def made_of(study: Study, patient: PatientInQuestion) -> Manifest:
    """The manifest of a study of another hospital, of the patient as we know them."""
    assert study.home is not None
    made = write_manifest(study, patient.demographics, Source(repository_of(study.home), ""))
    return replace(made, entry=replace(made.entry, home=study.home))
