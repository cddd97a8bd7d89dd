"""Reports and images of a referred patient are here before the patient is, at the patient's request and no longer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from consent.consents import Consent
from consent.requesters import Role
from hie_node import jobs
from hie_node.acts import Act, Caller
from hie_node.ahead_tables import TransfersAhead
from hie_node.flows.copies import Arrived, arrived
from hie_node.flows.draw import read_study_by_uid
from hie_node.flows.erase import erase_patient
from hie_node.flows.held import FROM_HERE
from hie_node.flows.peer_call import Asking, stream_from_peer
from hie_node.flows.referrals import expected_patients
from hie_node.publishing import publisher
from registry.ahead import Ahead, HeldInstance, newest_first
from registry.documents import DocumentEntry
from registry.identifiers import PatientIdentifier
from registry.people import PatientInQuestion
from registry.searches import PatientSelector
from registry.studies import Study
from tests.adapters.dicom.files import element, part10, sequence, slice_body
from tests.house.test_resuming import CutLine
from tests.lab import DICOM, Hospital, Lab
from tests.papers import CtStudy, Person, WrittenRequest, ct_report, refusal, sha256s
from tests.stand_in_edge import Wsgi, flowing

VISIT = (Path(__file__).parents[1] / "samples" / "insurance" / "visit.xml").read_text("utf-8")
THU = Person("BN0001", "Nguyễn Thị Thử", "1964-03-18", "female", "999164000011", "GD4279999900001")
STUDY = CtStudy(THU, count=6, size=200_000)


class Sent:
    """A patient of Bắc Ninh who was referred to Bạch Mai and signed a request there: what Bắc Ninh has of her."""

    def __init__(self, bac_ninh: Hospital, bach_mai: Hospital) -> None:
        self.bac_ninh, self.bach_mai = bac_ninh, bach_mai
        self.bac_ninh.registers(THU)
        self.report: DocumentEntry = self.bac_ninh.publishes(ct_report(THU))
        self.study: Study = self.bac_ninh.publishes_study(STUDY)
        self.request: Consent = self.bac_ninh.records(WrittenRequest(THU, to="bach-mai"))
        visit = VISIT.replace("BN0001", THU.number_at("bac-ninh"))
        (done,) = self.bac_ninh.publishes_files({"visit.xml": visit.encode()})
        assert not done.reason, done.reason
        self.bac_ninh.works()

    @property
    def wholes(self) -> tuple[Ahead, ...]:
        with self.bach_mai.house.storage.read() as unit:
            return unit.ahead.all()

    @property
    def images(self) -> list[HeldInstance]:
        with self.bach_mai.house.storage.read() as unit:
            return [one for whole in self.wholes for one in unit.ahead.instances_of(whole.id, STUDY.uid)]

    @property
    def documents(self) -> list[str]:
        with self.bach_mai.house.storage.read() as unit:
            return [one.entry.id for whole in self.wholes for one in unit.ahead.documents_of(whole.id)]

    def arrives(self) -> None:
        """She is registered at Bạch Mai, and a doctor looks for what there is."""
        self.bach_mai.registers(THU)
        assert self.bach_mai.finds_documents(THU).found and self.bach_mai.finds_studies(THU).found


@pytest.fixture
def sent(lab: Lab) -> Sent:
    return Sent(*lab.hospitals("bac-ninh", "bach-mai"))


def labelled(sent: Sent, entry: DocumentEntry) -> str:
    return f"{sent.bac_ninh.facility}.{entry.id}"


def test_what_the_patient_asked_for_is_here_before_the_patient_is(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    (whole,) = sent.wholes
    assert whole.complete and whole.sender == sent.bac_ninh.home
    assert labelled(sent, sent.report) in sent.documents
    store = sent.bach_mai.house.contents
    copies = [b"".join(store.open(whole.id, one.instance.content_hash)) for one in sent.images]
    assert sha256s(copies) == sha256s(STUDY.slices("bac-ninh"))


def test_whoever_waits_for_the_patient_sees_how_much_is_here(sent: Sent) -> None:
    desk = Act(sent.bach_mai.house, publisher(sent.bach_mai.house, "desk"), "open-referrals")
    (expected,) = expected_patients(desk)
    for so_far in (Arrived(), Arrived(len(expected.documents), STUDY.count, complete=True)):
        with sent.bach_mai.house.storage.read() as unit:
            assert arrived(unit, expected) == so_far
        sent.bach_mai.brings_ahead()


def test_a_copy_is_no_record_of_this_hospital(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    assert sent.bach_mai.holds() == []
    assert sent.bach_mai.finds_own_studies(THU).found == [] and sent.bach_mai.finds_own_documents(THU).found == []
    sent.arrives()
    (found,) = sent.bach_mai.finds_studies(THU).found
    assert found["id"] == f"{sent.bac_ninh.facility}.{sent.study.id}", "listed once, as its holder's"


def test_images_come_from_here_and_the_holder_still_decides_and_records(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    line = CutLine(sent.bac_ninh.door.application)  # type: ignore[arg-type]
    sent.bac_ninh.door.application = line
    got = sent.bach_mai.fetches(sent.study)
    assert got.broken is None and got.instances == sha256s(STUDY.slices("bac-ninh"))
    assert line.sent == 0, "no byte of an image came over the line"
    received = sent.bach_mai.rows(direction="received", transaction="RAD-107")[-1]
    assert received.reasons == {FROM_HERE: 1} and received.complete and (received.bytes_sent or 0) > 6 * STUDY.size
    (disclosed,) = [row for row in sent.bac_ninh.rows(direction="disclosed") if row.exchange == received.exchange]
    assert (disclosed.requester.subject, disclosed.items) == (received.requester.subject, (sent.study.id,))


def test_a_report_comes_from_here_and_the_holder_still_decides_and_records(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    got = sent.bach_mai.fetches(sent.report)
    assert got.body == ct_report(THU).text.encode()
    received = sent.bach_mai.rows(direction="received", transaction="ITI-68")[-1]
    assert received.reasons == {FROM_HERE: 1}
    assert [row for row in sent.bac_ninh.rows(direction="disclosed") if row.exchange == received.exchange]


def test_a_single_frame_and_the_headers_come_from_here(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    base = f"/network/dicomweb/studies/{STUDY.uid}/series/{STUDY.uid}.1"
    octets = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
    frame = sent.bach_mai.sends("GET", f"{base}/instances/{STUDY.uid}.1.2/frames/1", headers=octets)
    assert (frame.status, bytes([2]) * STUDY.size in frame.body) == (200, True)
    headers = sent.bach_mai.sends("GET", f"{base}/metadata", headers={"Accept": "application/dicom+json"})
    assert headers.status == 200 and headers.body.count(b'"00080018"') == STUDY.count
    assert [row.reasons for row in sent.bach_mai.rows(direction="received", transaction="RAD-107")[-2:]] == [
        {FROM_HERE: 1},
        {FROM_HERE: 1},
    ]


def test_a_withdrawal_at_the_holder_removes_what_is_here(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    (whole,) = sent.wholes
    one = sent.images[0].instance.content_hash
    sent.bac_ninh.withdraws(sent.request)
    sent.bac_ninh.works()
    assert (sent.wholes, sent.images, sent.documents) == ((), [], [])
    sent.bach_mai.brings_ahead()
    assert not sent.bach_mai.house.contents.exists(whole.id, one)


def test_a_withdrawal_at_this_hospital_removes_what_is_here(sent: Sent) -> None:
    sent.bach_mai.registers(THU)
    here = sent.bach_mai.records(WrittenRequest(THU, to="bach-mai"))
    sent.bach_mai.brings_ahead()
    assert sent.wholes
    sent.bach_mai.withdraws(here)
    assert sent.wholes == ()


@pytest.mark.parametrize("status", ["inactive", "entered-in-error"])
def test_a_request_that_says_nothing_any_more_leaves_nothing_here(sent: Sent, status: str) -> None:
    sent.bach_mai.registers(THU)
    here = sent.bach_mai.records(WrittenRequest(THU, to="bach-mai"))
    sent.bach_mai.brings_ahead()
    assert sent.wholes
    sent.bach_mai.changes(here, status=status)
    assert sent.wholes == ()


def test_what_the_holder_shows_no_longer_is_not_shown_from_here_either(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    sent.bac_ninh.records(refusal(THU, to="bach-mai"))
    assert sent.bach_mai.fetches(sent.study).status == 404
    sent.bach_mai.brings_ahead()
    assert sent.wholes == (), "the next look at the holder's list removes it"


def test_what_the_patient_refuses_here_is_not_shown_from_here(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    sent.bach_mai.records(refusal(THU, to="bach-mai"))
    assert sent.bach_mai.fetches(sent.study).status == 404


def test_copies_end_with_their_time(sent: Sent, lab: Lab) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    lab.clock.moves(by=timedelta(days=sent.bach_mai.house.settings.ahead.days, seconds=1))
    assert sent.bach_mai.fetches(sent.study).instances == sha256s(STUDY.slices("bac-ninh"))
    assert FROM_HERE not in sent.bach_mai.rows(direction="received", transaction="RAD-107")[-1].reasons
    sent.bach_mai.brings_ahead()
    assert sent.wholes == ()


def test_a_cut_line_resumes_and_sends_nothing_again(sent: Sent, lab: Lab) -> None:
    line = CutLine(sent.bac_ninh.door.application, STUDY.size + 5_000, 3 * STUDY.size)  # type: ignore[arg-type]
    sent.bac_ninh.door.application = line
    for _ in range(4):
        sent.bach_mai.brings_ahead()
        lab.clock.moves(by=timedelta(minutes=1))
    assert sent.wholes[0].complete and len(sent.images) == STUDY.count
    size = sum(len(one) for one in STUDY.slices("bac-ninh"))
    assert line.sent - size < 2 * size / STUDY.count, "of each break at most what had arrived of one image"


def test_while_the_holder_is_silent_only_a_request_signed_here_opens_a_copy(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    sent.bac_ninh.goes_down()
    assert sent.bach_mai.fetches(sent.study).status == 504
    sent.bach_mai.records(WrittenRequest(THU, to="bach-mai"))
    got = sent.bach_mai.fetches(sent.study)
    assert got.instances == sha256s(STUDY.slices("bac-ninh"))
    shown = sent.bach_mai.rows(direction="received", transaction="RAD-107")[-1]
    sent.bac_ninh.comes_up()
    sent.bach_mai.house.transport.close()
    sent.bach_mai.brings_ahead()
    (told,) = [row for row in sent.bac_ninh.rows(direction="disclosed") if row.exchange == shown.exchange]
    assert (told.requester.subject, told.items) == (shown.requester.subject, (sent.study.id,))


def test_nothing_is_fetched_ahead_where_the_hospital_does_not_want_it(lab: Lab) -> None:
    (bach_mai,) = lab.hospitals("bach-mai")
    none = replace(bach_mai.house.settings, ahead=TransfersAhead(days=0))
    bach_mai.house = replace(bach_mai.house, settings=none)
    bach_mai.opens_anew()
    sent = Sent(lab.hospital("bac-ninh"), bach_mai)
    assert expected_patients(Act(bach_mai.house, publisher(bach_mai.house, "desk"), "open-referrals"))
    bach_mai.brings_ahead()
    assert sent.wholes == ()


def test_an_erased_patient_leaves_no_copy(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    sent.bach_mai.registers(THU)
    who = PatientSelector(described=PatientInQuestion((sent.bach_mai.number_of(THU),)))
    officer = sent.bach_mai._act("erase", Role.DATA_PROTECTION_OFFICER)
    erase_patient(officer, who, because="theo yêu cầu của người bệnh")
    assert sent.wholes == ()
    with sent.bach_mai.house.storage.read() as unit:
        assert unit.documents.expected(sent.bach_mai.house.now() - timedelta(days=1), 10) == ()


class Noted:
    """A line that writes down which images were asked for, in their order."""

    def __init__(self, application: Wsgi) -> None:
        self._application = application
        self.asked: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if "/dicomweb/studies/" in path:
            self.asked.append(path.rpartition("/")[2])
        elif path.startswith("/fhir/Binary/"):
            self.asked.append("report")
        return self._application(environ, start_response)


def key_object(study: CtStudy, *pointed_at: str, title: str = "113000") -> bytes:
    """A key object selection of this study (PS3.3: A.35.4)."""
    objects = [element(0x00081155, "UI", uid.encode()) for uid in pointed_at]
    series = element(0x0020000E, "UI", f"{study.uid}.1".encode())
    evidence = sequence(0x00081115, sequence(0x00081199, *objects) + series)
    code = element(0x00080100, "SH", title.encode()) + element(0x00080102, "SH", b"DCM")
    extra = {
        0x00080016: element(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.88.59"),
        0x00080060: element(0x00080060, "CS", b"KO"),
        0x00280010: b"",
        0x00280011: b"",
        0x00100030: element(0x00100030, "DA", b"19640318"),
        0x00100040: element(0x00100040, "CS", b"F"),
        0x0040A043: sequence(0x0040A043, code),
        0x0040A375: sequence(0x0040A375, evidence + element(0x0020000D, "UI", study.uid.encode())),
        0x7FE00010: b"",
    }
    return part10(
        slice_body(
            1,
            study=study.uid,
            series=f"{study.uid}.9",
            patient=study.patient.number_at("bac-ninh").encode(),
            name="Nguyễn Thị^Thử".encode(),
            extra=extra.items(),
        )
    )


def order_of(sent: Sent) -> list[str]:
    line = Noted(sent.bac_ninh.door.application)  # type: ignore[arg-type]
    sent.bac_ninh.door.application = line
    sent.bach_mai.brings_ahead()
    assert sent.wholes[0].complete
    return line.asked


def test_reports_come_first_then_the_middle_image_then_the_series(sent: Sent) -> None:
    order = order_of(sent)
    reports = order.count("report")
    # one of six is more than may be sent again, so the rest of the series comes image by image
    rest = [f"{STUDY.uid}.1.{number}" for number in (1, 2, 3, 5, 6)]
    assert reports > 1 and order == ["report"] * reports + [f"{STUDY.uid}.1.4", *rest]


def test_images_that_a_key_object_points_at_come_before_all_others(sent: Sent) -> None:
    flagged = [f"{STUDY.uid}.1.2", f"{STUDY.uid}.1.5"]
    (done,) = sent.bac_ninh.publishes_files({"ko.dcm": key_object(STUDY, *flagged)})
    assert not done.reason, done.reason
    images = [one for one in order_of(sent) if one != "report"]
    assert images[:3] == [f"{STUDY.uid}.9.1", *flagged]


def test_a_manifest_of_the_whole_study_makes_nothing_stand_out(sent: Sent) -> None:
    everything = [f"{STUDY.uid}.1.{number}" for number in range(1, STUDY.count + 1)]
    (done,) = sent.bac_ninh.publishes_files({"ko.dcm": key_object(STUDY, *everything, title="113030")})
    assert not done.reason, done.reason
    images = [one for one in order_of(sent) if one != "report"]
    assert images[:2] == [f"{STUDY.uid}.9.1", f"{STUDY.uid}.1.4"]


def test_the_examination_that_the_patient_is_referred_with_comes_before_earlier_ones() -> None:
    assert [one.study_instance_uid for one in newest_first([dated(3), dated(11), dated(None), dated(7)])] == [
        "1.2.11",
        "1.2.7",
        "1.2.3",
        "1.2.99",
    ]


def dated(month: int | None) -> Study:
    started = datetime(2026, month, 1, tzinfo=UTC) if month else None
    number = PatientIdentifier("urn:oid:1.2", "1")
    return Study("s", f"1.2.{month or 99}", number, "r", started)


def test_the_viewer_opens_a_study_of_a_silent_holder(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    sent.bach_mai.records(WrittenRequest(THU, to="bach-mai"))
    sent.bac_ninh.goes_down()
    doctor = Act(sent.bach_mai.house, Caller(sent.bach_mai.requester(), "house"), "view-study")
    listed = read_study_by_uid(doctor, STUDY.uid)
    assert (listed.home, listed.instance_count) == (sent.bac_ninh.home, STUDY.count)
    sent.bac_ninh.comes_up()
    sent.bach_mai.house.transport.close()
    sent.bach_mai.brings_ahead()
    (told,) = [row for row in sent.bac_ninh.rows(direction="disclosed") if row.exchange == doctor.exchange]
    assert (told.requester.subject, told.items) == ("bs.minh", (sent.study.id,))


def test_what_the_scanner_adds_later_is_brought_too(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    more = replace(STUDY, count=STUDY.count + 1)
    sent.bac_ninh.publishes_study(more)
    assert sent.bach_mai.fetches(sent.study).instances == sha256s(more.slices("bac-ninh")), "from its holder"
    sent.bach_mai.brings_ahead()
    assert sent.bach_mai.fetches(sent.study).instances == sha256s(more.slices("bac-ninh"))
    assert sent.bach_mai.rows(direction="received", transaction="RAD-107")[-1].reasons == {FROM_HERE: 1}


def test_a_doctor_who_opens_something_takes_the_line(sent: Sent, lab: Lab) -> None:
    sent.arrives()
    lines, home = sent.bach_mai.house.lines, sent.bac_ninh.home
    opened = sent.bach_mai.opens(sent.study)
    next(opened.flowing)
    assert lines.is_taken(home)
    sent.bach_mai.brings_ahead()
    assert sent.images == [] and sent.documents == [], "nothing is fetched ahead meanwhile"
    for _ in opened.flowing:
        pass
    assert not lines.is_taken(home)
    lab.clock.moves(by=timedelta(seconds=21))
    sent.bach_mai.brings_ahead()
    assert sent.wholes[0].complete


def test_a_result_that_comes_when_the_patient_has_left_is_brought_too(sent: Sent, lab: Lab) -> None:
    sent.bach_mai.brings_ahead()
    late = sent.bac_ninh.publishes(ct_report(THU, "Kết quả bổ sung."))
    sent.bach_mai.brings_ahead()
    assert labelled(sent, late) not in sent.documents
    lab.clock.moves(by=timedelta(minutes=61))
    sent.bach_mai.brings_ahead()
    assert labelled(sent, late) in sent.documents


def test_who_knows_what_a_study_holds_learns_nothing_more_without_the_request(sent: Sent) -> None:
    asking = Asking(sent.bach_mai.requester())
    path, known = f"/dicomweb/studies/{STUDY.uid}", f'"{sent.study.fingerprint}"'

    def status() -> int:
        peer = sent.bac_ninh.peer
        with stream_from_peer(sent.bach_mai.house, asking, peer, path=path, accept=DICOM, known=known) as stream:
            return stream.status

    assert status() == 304
    sent.bac_ninh.withdraws(sent.request)
    assert status() == 404


class Changing:
    """A line that does something to what comes over it, or when it does."""

    def __init__(self, application: Wsgi, on_images: Callable[[Iterable[bytes]], Iterable[bytes]]) -> None:
        self._application, self._on_images = application, on_images

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answer = self._application(environ, start_response)
        return self._on_images(answer) if "/dicomweb/studies/" in environ["PATH_INFO"] else answer


def test_a_withdrawal_in_the_middle_ends_it_and_leaves_nothing(sent: Sent) -> None:
    count = 0

    def withdrawn_at_the_third(answer: Iterable[bytes]) -> Iterable[bytes]:
        nonlocal count
        count += 1
        if count == 3:
            sent.bac_ninh.withdraws(sent.request)
            jobs.carry_withdrawals(sent.bac_ninh.house)
        return answer

    line = Changing(sent.bac_ninh.door.application, withdrawn_at_the_third)  # type: ignore[arg-type]
    sent.bac_ninh.door.application = line
    (whole,) = sent.wholes
    sent.bach_mai.brings_ahead()
    assert count == 3 and (sent.wholes, sent.images, sent.documents) == ((), [], [])
    with sent.bach_mai.house.storage.read() as unit:
        assert unit.wrapped_keys.wrapped(whole.id) is None
    assert not [file for file in sent.bach_mai.house.settings.contents.rglob("*") if len(file.name) == 64]


def test_images_that_are_not_what_their_holder_says_are_not_kept(sent: Sent) -> None:
    def other(answer: Iterable[bytes]) -> Iterable[bytes]:
        return (piece.replace(bytes([4]) * 100, bytes([9]) * 100) for piece in flowing(answer))

    sent.bac_ninh.door.application = Changing(sent.bac_ninh.door.application, other)  # type: ignore[arg-type]
    sent.bach_mai.brings_ahead()
    held = {one.instance.sop_instance_uid for one in sent.images}
    assert held == {f"{STUDY.uid}.1.{number}" for number in (1, 2, 3, 5, 6)}
    assert not sent.wholes[0].complete and labelled(sent, sent.report) in sent.documents
