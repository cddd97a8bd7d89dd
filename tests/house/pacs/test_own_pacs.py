"""A hospital whose images lie in its PACS: they are found here, come from there, and are not copied."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest

from adapters.dicom.file_head import data_set_of, file_head
from adapters.dicom.manifest import read_manifest
from adapters.dicom.part10 import head_of, read_instance
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node.acts import Act, Caller
from hie_node.archives import look, look_between
from hie_node.flows.fetch import retrieve_frames, retrieve_study
from hie_node.flows.image_sets import retrieve_images
from hie_node.flows.manifests import manifest_of
from hie_node.house import House
from hie_node.setting_tables import Pacs, UnsafeSettings
from registry.commands import DocumentAsked, RelayedStudy, RetrieveFrames, RetrieveStudy
from registry.errors import ArchiveUnavailable, NotFound, OtherForm
from registry.identifiers import repository_of
from registry.image_sets import ImageAsked, RetrieveImages
from tests.adapters.dicom.files import CT_IMAGE, SERIES, STUDY, study_of
from tests.house.hospital import make_house
from tests.house.pacs.orthanc import Orthanc, orthanc
from tests.processes import free_port


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        running.keeps(*(whole(file) for file in study_of(3)))
        yield running


def whole(file: bytes) -> bytes:
    """With what Orthanc wants of a file's own header."""
    read = read_instance(BytesIO(file), size=len(file), own_issuer="urn:x")
    _, syntax, _ = head_of(iter([file]))
    return file_head(CT_IMAGE, read.instance.sop_instance_uid, syntax) + b"".join(data_set_of([file]))


@pytest.fixture(params=["dicomweb", "dimse"])
def house(request: pytest.FixtureRequest, tmp_path: Path, archive: Orthanc) -> Iterator[House]:
    web = Pacs("archive", url=archive.url)
    dimse = Pacs("archive", ae_title="ORTHANC", host="127.0.0.1", port=archive.dicom_port)
    made = make_house(tmp_path, pacs=(web if request.param == "dicomweb" else dimse,))
    yield made
    made.storage.close()


def act(house: House) -> Act:
    doctor = Requester("bs.minh", Role.DOCTOR, house.home, purpose=PurposeOfUse.TREAT)
    return Act(house, Caller(doctor, "house"), "RAD-107")


def indexed(house: House) -> int:
    return look_between(house, "archive", date(2026, 3, 1), date(2026, 3, 31))


def test_studies_of_the_pacs_are_found_and_opened_from_there(house: House) -> None:
    assert (indexed(house), indexed(house)) == (1, 0)
    with house.storage.read() as unit:
        study = unit.studies.by_uid(STUDY)
    assert study is not None and (study.archive, study.instance_count) == ("archive", 3)
    assert study.extra["PatientName"] == "Nguyễn^Văn An"
    assert study.series[0].modality == "CT"
    found = retrieve_study(act(house), RetrieveStudy(STUDY))
    assert not isinstance(found, RelayedStudy)
    objects = {b"".join(data_set_of(chunks)) for _, chunks in found.instances}
    assert objects == {b"".join(data_set_of([file])) for file in study_of(3)}
    assert [file for file in house.settings.contents.rglob("*") if file.is_file() and len(file.name) == 64] == []


def test_one_image_and_its_frame_come_alone(house: House) -> None:
    indexed(house)
    one = retrieve_study(act(house), RetrieveStudy(STUDY, SERIES, f"{SERIES}.2"))
    assert not isinstance(one, RelayedStudy)
    assert [instance.sop_instance_uid for instance, chunks in one.instances if b"".join(chunks)] == [f"{SERIES}.2"]
    frame = retrieve_frames(act(house), RetrieveFrames(STUDY, SERIES, f"{SERIES}.2", (1,)))
    file = b"".join(frame.read(0, None))
    assert b"".join(data_set_of([file])) == b"".join(data_set_of([study_of(3)[1]]))
    assert b"".join(frame.read(128, 4)) == b"DICM"
    frame.end(True)


def test_a_pacs_that_is_away_is_said_and_not_taken_for_empty(tmp_path: Path) -> None:
    house = make_house(tmp_path, pacs=(Pacs("archive", url=f"http://127.0.0.1:{free_port()}/dicom-web"),))
    assert look(house, "archive", days=1) == 0
    with pytest.raises(ArchiveUnavailable):
        indexed(house)
    house.storage.close()


def test_a_pacs_is_not_reached_in_the_clear() -> None:
    for unsafe in (
        Pacs("a", url="http://10.0.0.1/dicom-web"),
        Pacs("a"),
        Pacs("a", url="https://x", ae_title="A", host="h", port=1),
    ):
        with pytest.raises(UnsafeSettings, match="pacs"):
            unsafe.check()
    Pacs("a", url="https://pacs.example/dicom-web").check()


def test_images_of_the_pacs_are_given_one_by_one_in_the_form_that_they_are_in(house: House) -> None:
    indexed(house)
    asked = [
        ImageAsked(STUDY, SERIES, DocumentAsked(repository_of(house.home), f"urn:oid:{SERIES}.{n}")) for n in (2, 1, 9)
    ]
    explicit = frozenset({"1.2.840.10008.1.2.1"})
    found = retrieve_images(act(house), RetrieveImages(tuple(asked), explicit))
    files = [b"".join(one.content) for _, one in found.found]
    assert [one.size for _, one in found.found] == [len(file) for file in files]
    given = [b"".join(data_set_of([file])) for file in files]
    assert given == [b"".join(data_set_of([study_of(3)[n]])) for n in (1, 0)]
    assert [(one.unique_id, type(error)) for one, error in found.missing] == [(f"urn:oid:{SERIES}.9", NotFound)]
    other = retrieve_images(act(house), RetrieveImages(tuple(asked[:1]), frozenset({"1.2.840.10008.1.2.4.50"})))
    assert [type(error) for _, error in other.missing] == [OtherForm]


def test_a_study_of_the_pacs_has_a_manifest_as_well(house: House) -> None:
    indexed(house)
    with house.storage.read() as unit:
        study = unit.studies.by_uid(STUDY)
        assert study is not None
        listed = read_manifest(manifest_of(house, unit, study).content).studies
    assert listed == {STUDY: tuple(f"{SERIES}.{n}" for n in (1, 2, 3))}
