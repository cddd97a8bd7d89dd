"""dicomweb-client, a foreign implementation, against a node's own door: store, search, retrieve."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import pydicom
import pytest
import requests
from dicomweb_client import DICOMwebClient

from adapters.trust import certificates
from tests.house.node import bearer_of_a_system, made_node
from tests.papers import HOA, LAN, CtStudy

FIRST = CtStudy(LAN)
SECOND = CtStudy(HOA, uid="1.2.826.0.1.3680043.10.99.2")
SERIES, IMAGE = f"{FIRST.uid}.1", f"{FIRST.uid}.1.2"
STUDY_UID, IMAGE_UID = "0020000D", "00080018"


def images(study: CtStudy) -> list[pydicom.Dataset]:
    """The slices of a study, with what a picture is drawn by."""
    read = [pydicom.dcmread(BytesIO(file)) for file in study.slices("bac-ninh")]
    for one in read:
        one.SamplesPerPixel, one.PhotometricInterpretation, one.PixelRepresentation = 1, "MONOCHROME2", 0
        one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
    return read


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, lab_authority: certificates.Credential
) -> Iterator[DICOMwebClient]:
    (folder := tmp_path_factory.mktemp("foreign") / "bac-ninh").mkdir()
    with made_node(folder.parent, f"sqlite:///{folder / 'node.db'}", lab_authority) as node:
        node.starts()
        session = requests.Session()
        session.trust_env = False
        session.verify = str(node.settings.tls / "federation-ca.crt")
        house = node.house()
        session.headers["Authorization"] = bearer_of_a_system(house)
        house.storage.close()
        made = DICOMwebClient(f"{node.settings.house.url}/dicomweb", session=session)
        for study in (FIRST, SECOND):
            made.store_instances(images(study))
        yield made


def found(client: DICOMwebClient, **filters: str) -> set[str]:
    return {one[STUDY_UID]["Value"][0] for one in client.search_for_studies(search_filters=filters)}


def test_what_it_stores_comes_back_the_same(client: DICOMwebClient) -> None:
    answer = client.store_instances(images(FIRST)[:1], study_instance_uid=FIRST.uid)
    assert [one.ReferencedSOPInstanceUID for one in answer.ReferencedSOPSequence] == [f"{SERIES}.1"]
    assert "FailedSOPSequence" not in answer
    sent = {one.SOPInstanceUID: one for one in images(FIRST)}
    for got in (client.retrieve_study(FIRST.uid), client.retrieve_series(FIRST.uid, SERIES)):
        assert {one.SOPInstanceUID: one for one in got} == sent
    assert client.retrieve_instance(FIRST.uid, SERIES, IMAGE) == sent[IMAGE]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, {FIRST.uid, SECOND.uid}),
        ({"PatientID": LAN.number_at("bac-ninh")}, {FIRST.uid}),
        ({"00100020": HOA.number_at("bac-ninh")}, {SECOND.uid}),
        ({"PatientName": f"{LAN.name.split()[0]}*"}, {FIRST.uid}),
        ({"StudyInstanceUID": f"{FIRST.uid},{SECOND.uid}"}, {FIRST.uid, SECOND.uid}),
        ({"StudyDate": "20260310"}, {FIRST.uid, SECOND.uid}),
        ({"StudyDate": "20260301-20260310"}, {FIRST.uid, SECOND.uid}),
        ({"StudyDate": "-20260309"}, set()),
        ({"StudyDate": "20260310", "StudyTime": "08-09"}, {FIRST.uid, SECOND.uid}),
        ({"StudyTime": "0816-"}, set()),
        ({"ModalitiesInStudy": "CT"}, {FIRST.uid, SECOND.uid}),
        ({"ModalitiesInStudy": "MR"}, set()),
    ],
)
def test_its_searches_find_what_matches_and_nothing_else(
    client: DICOMwebClient, filters: dict[str, str], expected: set[str]
) -> None:
    assert found(client, **filters) == expected


def test_its_pages_are_disjoint_and_together_everything(client: DICOMwebClient) -> None:
    pages = [client.search_for_studies(limit=1, offset=place) for place in range(3)]
    assert [len(page) for page in pages] == [1, 1, 0]
    assert {page[0][STUDY_UID]["Value"][0] for page in pages[:2]} == {FIRST.uid, SECOND.uid}
    every = client.search_for_studies(limit=1, get_remaining=True)
    assert {one[STUDY_UID]["Value"][0] for one in every} == {FIRST.uid, SECOND.uid}


def test_it_finds_series_and_instances_with_the_fields_that_it_names(client: DICOMwebClient) -> None:
    (series,) = client.search_for_series(FIRST.uid, fields=["StudyDescription"])
    assert (series["0020000E"]["Value"], series["00081030"]["Value"]) == ([SERIES], ["CT sọ não"])
    images = client.search_for_instances(FIRST.uid, SERIES, search_filters={"InstanceNumber": "2"}, fields=["all"])
    assert [one[IMAGE_UID]["Value"] for one in images] == [[IMAGE]]


def test_metadata_carry_every_header_and_no_pixels(client: DICOMwebClient) -> None:
    for got in (client.retrieve_study_metadata(FIRST.uid), client.retrieve_series_metadata(FIRST.uid, SERIES)):
        assert [one["00200013"]["Value"] for one in got] == [[1], [2], [3]]
    one = client.retrieve_instance_metadata(FIRST.uid, SERIES, IMAGE)
    assert one["00100010"]["Value"][0]["Alphabetic"].replace("^", " ") == LAN.name
    assert "InlineBinary" not in one.get("7FE00010", {})


def test_pixels_come_as_frames_bulk_data_and_pictures(client: DICOMwebClient) -> None:
    pixels = images(FIRST)[1].PixelData
    assert client.retrieve_instance_frames(FIRST.uid, SERIES, IMAGE, [1]) == [pixels]
    address = client.retrieve_instance_metadata(FIRST.uid, SERIES, IMAGE)["7FE00010"]["BulkDataURI"]
    assert client.retrieve_bulkdata(address) == [pixels]
    for kind, begin in (("image/jpeg", b"\xff\xd8"), ("image/png", b"\x89PNG")):
        assert client.retrieve_instance_rendered(FIRST.uid, SERIES, IMAGE, media_types=(kind,)).startswith(begin)


def test_what_is_not_there_is_404(client: DICOMwebClient) -> None:
    with pytest.raises(requests.HTTPError) as refused:
        client.retrieve_study("1.2.3.4")
    assert refused.value.response.status_code == 404
