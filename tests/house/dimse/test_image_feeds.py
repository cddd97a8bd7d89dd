"""Images in the log of feeds: whether a study arrived, and what of it was refused, whichever way it came."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from adapters.dicom.network.commands import Status
from adapters.dicom.part10 import read_instance
from hie_node.acts import Act, Caller
from hie_node.flows.store_instances import store_instances
from hie_node.house import House
from hie_node.image_feeds import UNREAD
from hie_node.publishing import publish_paths, publisher
from registry.commands import InstanceFailure, StoreInstances
from registry.feeds import FeedItem, FeedSearch
from registry.submissions import Bytes, StudySubmission
from tests.adapters.dicom.files import STUDY, ct_slice, study_of
from tests.house.dimse.conftest import MakePort
from tests.house.dimse.port import Port
from tests.house.dimse.test_landing import begins, sends
from tests.house.hospital import Hospital
from tests.lab import Hospital as LabHospital
from tests.lab import Lab
from tests.stand_in_edge import Reply

RELATED = 'multipart/related; type="application/dicom"; boundary=x'


def items(house: House) -> list[FeedItem]:
    with house.storage.read() as unit:
        return list(unit.feeds.find(FeedSearch("dicom")))


def listed(port: Port) -> list[FeedItem]:
    try:
        return items(port.house)
    finally:
        port.house.storage.close()


def test_a_study_of_many_slices_is_one_item(make_port: MakePort) -> None:
    port = make_port()
    assert port.stores(*study_of(40)).code == 0
    (item,) = listed(port)
    assert (item.feed, item.name, item.outcome, item.objects) == ("dicom CT1", STUDY, "stored", 40)
    assert port.stores(*study_of(3), calling="CT2").code == 0
    assert {(one.feed, one.outcome, one.objects) for one in listed(port)} == {
        ("dicom CT1", "stored", 40),
        ("dicom CT2", "unchanged", 3),
    }


def test_what_was_refused_is_there_with_its_reason(make_port: MakePort) -> None:
    port = make_port()
    line = begins(port)
    assert [sends(line, number) for number in (1, 2)] == [Status.SUCCESS] * 2
    assert sends(line, 2, pixels=b"\7\7" * 16) == 0x0111
    assert sends(line, 3, patient=b"BN-0099") == 0xB000
    assert sends(line, 4, patient=b"") == Status.CANNOT_UNDERSTAND
    port.end()
    found = {one.name: one for one in listed(port)}
    study = found[STUDY]
    assert (study.outcome, study.objects, study.refused) == ("refused", 4, 1)
    assert study.reasons == ("this instance is already stored with other bytes",)
    assert sum(n for text, n in study.deviations.items() if text.startswith("kept aside for a registrar")) == 1
    assert (found[UNREAD].refused, found[UNREAD].reasons) == (1, ("no patient id",))


def test_what_was_acknowledged_before_a_kill_is_listed_after_it(make_port: MakePort) -> None:
    port = make_port()
    line = begins(port)
    assert [sends(line, number) for number in (1, 2, 3)] == [Status.SUCCESS] * 3
    port.end(9)
    port.open()
    port.end()
    assert [(one.name, one.objects) for one in listed(port)] == [(STUDY, 3)]


def test_files_put_into_the_drop_folder_are_grouped_by_study(hospital: Hospital, tmp_path: Path) -> None:
    for number in range(1, 6):
        file = tmp_path / f"{number}.dcm"
        file.write_bytes(ct_slice(number) if number < 5 else ct_slice(number)[:500])
        list(publish_paths(hospital.house, [file], who="drop-folder"))
    found = {one.name: one for one in items(hospital.house)}
    assert set(found) == {STUDY, "5.dcm"}
    assert (found[STUDY].feed, found[STUDY].objects, found[STUDY].outcome) == ("dicom drop-folder", 4, "stored")
    assert found["5.dcm"].outcome == "refused" and found["5.dcm"].reasons


def test_what_came_over_dicomweb_is_listed_by_its_client(hospital: Hospital) -> None:
    house, content = hospital.house, ct_slice(1)
    read = read_instance(BytesIO(content), size=len(content), own_issuer=house.settings.patient_id_system)
    caller = Caller(publisher(house, "ris-gateway").requester, "house")
    broken = InstanceFailure("", "", 0xC000, "not a DICOM file")
    command = StoreInstances(StudySubmission(((read, Bytes(content)),)), None, (broken,))
    store_instances(Act(house, caller, "RAD-108"), command)
    assert {(one.feed, one.name, one.outcome, one.objects) for one in items(house)} == {
        ("dicomweb ris-gateway", STUDY, "stored", 1),
        ("dicomweb ris-gateway", UNREAD, "refused", 1),
    }


WHOLE = "a whole request: "
BROKEN = {
    "no multipart": ("application/dicom", b"DICM", 415),
    "no boundary": ('multipart/related; type="application/dicom"', b"--x", 400),
    "another boundary": (RELATED, b"--y\r\n\r\nDICM\r\n--y--", 400),
    "cut": (RELATED, b"--x\r\n\r\nDICM", 400),
    "no part": (RELATED, b"--x--\r\n", 400),
    "no part is DICOM": (RELATED, b"--x\r\nContent-Type: text/html\r\n\r\n<p>\r\n--x--", 415),
}


def test_a_request_that_cannot_be_read_at_all_is_seen_and_a_thousand_are_one_item(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    for _ in range(2):
        for kind, body, status in BROKEN.values():
            assert stow(node, kind, body).status == status
    (item,) = items(node.house)
    assert (item.feed, item.name, item.outcome) == ("dicomweb his", UNREAD, "refused")
    assert (item.objects, item.refused, item.size, item.owner) == (2 * len(BROKEN), 2 * len(BROKEN), 0, "")
    assert len(item.reasons) == len(set(item.reasons)) == 6 and all(one.startswith(WHOLE) for one in item.reasons)


def test_a_disk_that_is_full_is_not_the_senders_failure(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    node.house.settings.spool.rmdir()
    assert stow(node, RELATED, b"--x\r\n\r\nDICM\r\n--x--").status == 503
    assert items(node.house) == []


def stow(node: LabHospital, kind: str, body: bytes) -> Reply:
    return node.sends("POST", "/dicomweb/studies", headers={"Content-Type": kind, "Accept": "*/*"}, body=body)
