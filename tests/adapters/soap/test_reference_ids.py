"""referenceIdList: accession numbers, study UIDs, and the visits that a document came of, as MHD maps them."""

from __future__ import annotations

import pytest

from adapters.soap.datatypes import read_cxi, read_encounter, write_cxi, write_encounter
from registry.identifiers import ACCESSION, DICOM_UID, PatientIdentifier

ENCOUNTER = "urn:ihe:iti:xds:2015:encounterId"


@pytest.mark.parametrize(
    ("text", "reference", "encounter"),
    [
        ("V7^^^&1.2.3&ISO^" + ENCOUNTER, None, PatientIdentifier("urn:oid:1.2.3", "V7")),
        ("V7^^^^" + ENCOUNTER, None, None),
        ("^^^&1.2.3&ISO^" + ENCOUNTER, None, None),
        ("A1^^^&1.2.3&ISO^urn:ihe:iti:xds:2013:accession", PatientIdentifier("urn:oid:1.2.3", "A1"), None),
        ("A1^^^^urn:ihe:iti:xds:2013:accession", PatientIdentifier(ACCESSION, "A1"), None),
        ("1.2.9^^^^urn:ihe:iti:xds:2016:studyInstanceUID", PatientIdentifier(DICOM_UID, "urn:oid:1.2.9"), None),
    ],
)
def test_each_kind_is_read_as_what_it_is(
    text: str, reference: PatientIdentifier | None, encounter: PatientIdentifier | None
) -> None:
    assert (read_cxi(text), read_encounter(text)) == (reference, encounter)
    if reference is not None:
        assert write_cxi(reference) == text
    if encounter is not None:
        assert write_encounter(encounter) == text


def test_the_hospitals_own_number_of_a_visit_comes_back() -> None:
    number = PatientIdentifier("urn:hie-node:visit:27001", "LK^7 & 8")
    assert read_encounter(write_encounter(number)) == number
