"""The draft of IHE MADO, where a hospital has switched it on."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from adapters.dicom.part10 import read_instance
from hie_node.acts import Act
from hie_node.dimse.landing import system_caller
from hie_node.flows.manifests import entry_for, manifest_of, studies_of
from hie_node.flows.store_instances import store_instances
from registry.commands import StoreInstances
from registry.submissions import Bytes, StudySubmission
from tests.adapters.dicom.files import STUDY, study_of
from tests.house.hospital import SYSTEM, make_house


@pytest.mark.parametrize("mado", [True, False])
def test_the_manifest_that_is_listed_is_the_one_that_is_served(tmp_path: Path, mado: bool) -> None:
    house = make_house(tmp_path, mado=mado)
    files = [(read_instance(BytesIO(one), size=len(one), own_issuer=SYSTEM), Bytes(one)) for one in study_of(3)]
    store_instances(Act(house, system_caller(house, "CT1"), "C-STORE"), StoreInstances(StudySubmission(tuple(files))))
    with house.storage.read() as unit:
        study = unit.studies.by_uid(STUDY)
        assert study is not None
        listed, served = entry_for(house, unit, study), manifest_of(house, unit, study)
        assert [found for found, _ in studies_of(unit, [listed.unique_id], house)] == [study]
    assert (listed.unique_id, listed.attachment.size) == (served.entry.unique_id, len(served.content))
    series = pydicom.dcmread(BytesIO(served.content)).CurrentRequestedProcedureEvidenceSequence[0]
    (one,) = series.ReferencedSeriesSequence
    assert ("RetrieveURL" in one) is mado
    assert not mado or one.RetrieveURL.startswith(f"{house.settings.house.url}/dicomweb/studies/{STUDY}/series/")
    house.storage.close()
