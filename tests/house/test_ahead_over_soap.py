"""A hospital that speaks only SOAP: what it holds comes ahead by its manifests, and its copies ask its registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from adapters.dicom.manifest import Source, write_manifest
from consent.reconciling import Difference
from hie_node import jobs
from hie_node.acts import Act, Caller
from hie_node.flows.draw import read_study_by_uid
from hie_node.flows.gateway_studies import manifests_by_study, state_of, state_of_study, study_of
from hie_node.flows.held import FROM_HERE
from hie_node.flows.reconcile import reconcile
from registry.ahead import HeldInstance
from registry.coded import IMAGING_REPORT
from registry.documents import Attachment, DocumentEntry, DocumentStatus
from registry.errors import Unreadable
from registry.identifiers import DICOM_UID, HomeCommunityId, PatientIdentifier
from registry.manifests import MANIFEST_FORMAT
from registry.people import NOTHING_KNOWN
from registry.studies import Instance, Series, Study
from tests.conformance.images import image_request
from tests.conformance.images import images as ask_images
from tests.conformance.soap import SoapAnswer, SoapClient
from tests.house.test_ahead import STUDY, THU, Sent
from tests.lab import Lab
from tests.papers import CtStudy, WrittenRequest, ct_report, refusal, sha256s
from tests.stand_in_edge import Wsgi


class Line:
    """What comes over it, by address; it may be cut after so many bytes of images, or do something at one answer."""

    def __init__(self, application: Wsgi, *, cut: int | None = None, at: Callable[[int], None] | None = None) -> None:
        self._application, self._cut, self._at = application, cut, at
        self.asked: list[str] = []
        self.images = self.answers = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.asked.append(path)
        return self._counted(self._application(environ, start_response))

    def _counted(self, answer: Iterable[bytes]) -> Iterable[bytes]:
        pieces = list(answer)
        if sum(map(len, pieces)) < STUDY.size:
            yield from pieces
            return
        self.answers += 1
        if self._at is not None:
            self._at(self.answers)
        for piece in pieces:
            self.images += len(piece)
            if self._cut is not None and self.images > self._cut:
                self._cut = None
                raise ConnectionError("the line was cut")
            yield piece


@pytest.fixture
def sent(lab: Lab) -> Sent:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    lab.lists(replace(bac_ninh.peer, speaks=frozenset({"xca"})))
    return Sent(bac_ninh, bach_mai)


def over(sent: Sent, **how: Any) -> Line:
    line = Line(sent.bac_ninh.door.application, **how)  # type: ignore[arg-type]
    sent.bac_ninh.door.application = line
    return line


def serious(sent: Sent) -> list[Difference]:
    """Between what the two hospitals wrote down."""
    now = sent.bach_mai.house.now()
    since, until = now - timedelta(hours=1), now + timedelta(hours=1)
    return list(reconcile(sent.bach_mai.house, sent.bac_ninh.peer, since=since, until=until).serious)


def copies(sent: Sent) -> list[HeldInstance]:
    return [one for one in sent.images if one.instance.content_hash]


def test_reports_and_images_of_a_hospital_that_speaks_only_soap_are_here_before_the_patient_is(sent: Sent) -> None:
    line = over(sent)
    sent.bach_mai.brings_ahead()
    (whole,) = sent.wholes
    assert whole.complete and not [one for one in line.asked if not one.startswith("/xc")], "nothing but SOAP"
    store = sent.bach_mai.house.contents
    found = [b"".join(store.open(whole.id, one.instance.content_hash)) for one in copies(sent)]
    assert sha256s(found) == sha256s(STUDY.slices("bac-ninh"))
    assert f"{sent.bac_ninh.facility}.{sent.report.entry_uuid.removeprefix('urn:uuid:')}" in sent.documents
    order = [one.instance.sop_instance_uid for one in copies(sent)]
    assert len(order) == STUDY.count


def test_the_doctor_opens_them_from_here_and_the_holder_still_decides_and_records(sent: Sent) -> None:
    announced = serious(sent)
    sent.bach_mai.brings_ahead()
    sent.arrives()
    line = over(sent)
    (shown,) = sent.bach_mai.finds_studies(THU).found
    assert shown["numberOfInstances"] == STUDY.count
    got = sent.bach_mai.fetches(sent.study)
    assert got.broken is None and got.instances == sha256s(STUDY.slices("bac-ninh"))
    received = sent.bach_mai.rows(direction="received", transaction="RAD-107")[-1]
    assert received.reasons == {FROM_HERE: 1} and received.complete
    report = f"{sent.bac_ninh.facility}.{sent.report.entry_uuid.removeprefix('urn:uuid:')}"
    assert sent.bach_mai.fetches(report).body == ct_report(THU).text.encode()
    assert sent.bach_mai.rows(direction="received", transaction="ITI-68")[-1].reasons == {FROM_HERE: 1}
    assert line.images == 0 and set(line.asked) == {"/xca/responding"}
    assert serious(sent) == announced


def test_the_viewer_reads_the_study_of_a_hospital_that_speaks_only_soap(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    doctor = Act(sent.bach_mai.house, Caller(sent.bach_mai.requester(), "house"), "view-study")
    listed = read_study_by_uid(doctor, STUDY.uid)
    assert (listed.home, listed.instance_count, listed.modalities) == (sent.bac_ninh.home, STUDY.count, ("CT",))
    base = f"/network/dicomweb/studies/{STUDY.uid}/series/{STUDY.uid}.1/instances/{STUDY.uid}.1.2"
    octets = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}
    frame = sent.bach_mai.sends("GET", f"{base}/frames/1", headers=octets)
    assert (frame.status, bytes([2]) * STUDY.size in frame.body) == (200, True)


def asks_over_soap(sent: Sent, *numbers: int) -> SoapAnswer:
    """RAD-69 to the own gateway, as a viewer that speaks only SOAP sends it."""
    body = image_request(
        STUDY.uid,
        f"{STUDY.uid}.1",
        [f"{STUDY.uid}.1.{n}" for n in numbers],
        repository=SoapClient(sent.bac_ninh).repository,
        home=str(sent.bac_ninh.home),
    )
    return ask_images(SoapClient(sent.bach_mai), body, path="/xca/initiating")


@pytest.mark.parametrize("speaks", [{"xca"}, {"fhir"}, {"fhir", "xca"}])
def test_a_viewer_that_speaks_soap_gets_the_copies_and_the_holder_still_decides_and_records(
    sent: Sent, lab: Lab, speaks: set[str]
) -> None:
    lab.lists(replace(sent.bac_ninh.peer, speaks=frozenset(speaks)))
    sent.bach_mai.brings_ahead()
    sent.arrives()
    line = over(sent)
    slices = STUDY.slices("bac-ninh")
    answer = asks_over_soap(sent, 3, 1)
    assert (answer.outcome, answer.contents) == ("Success", [slices[2], slices[0]])
    assert line.asked and line.images == 0, "the holder was asked, and sent no image"
    received = sent.bach_mai.rows(direction="received", transaction="RAD-69")[-1]
    assert received.reasons == {FROM_HERE: 1}
    assert (received.complete, received.bytes_sent) == (True, len(slices[2]) + len(slices[0]))
    given = [row for row in sent.bac_ninh.rows(direction="disclosed") if row.exchange.startswith(received.exchange)]
    assert {row.requester.subject for row in given} == {received.requester.subject}
    more = asks_over_soap(sent, 1, STUDY.count + 1)
    assert (more.codes, more.contents) == (["XDSDocumentUniqueIdError"], slices[:1]), "what is not here is asked for"
    sent.bac_ninh.records(refusal(THU, to="bach-mai"))
    refused = asks_over_soap(sent, 3, 1)
    assert (set(refused.codes), refused.contents) == ({"XDSDocumentUniqueIdError"}, [])


def test_over_soap_a_study_that_grew_comes_from_its_holder(sent: Sent, lab: Lab) -> None:
    lab.lists(replace(sent.bac_ninh.peer, speaks=frozenset({"fhir", "xca"})))
    sent.bach_mai.brings_ahead()
    sent.arrives()
    sent.bac_ninh.publishes_study(replace(STUDY, count=STUDY.count + 1))
    line = over(sent)
    answer = asks_over_soap(sent, 2)
    assert (answer.outcome, answer.contents) == ("Success", STUDY.slices("bac-ninh")[1:2])
    assert line.images > 0


def test_over_soap_an_object_that_was_handed_in_here_as_well_is_served_from_here(sent: Sent) -> None:
    sent.bach_mai.registers(THU)
    own = sent.bach_mai.publishes_study(STUDY)
    line = over(sent)
    answer = asks_over_soap(sent, 2)
    assert (answer.outcome, answer.contents) == ("Success", STUDY.slices("bach-mai")[1:2])
    assert line.asked == [] and own.id in sent.bach_mai.rows(direction="disclosed")[-1].items


def test_what_is_shown_no_longer_there_is_not_shown_from_here(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    sent.bac_ninh.records(refusal(THU, to="bach-mai"))
    report = f"{sent.bac_ninh.facility}.{sent.report.entry_uuid.removeprefix('urn:uuid:')}"
    assert (sent.bach_mai.fetches(sent.study).status, sent.bach_mai.fetches(report).status) == (404, 404)
    sent.bach_mai.brings_ahead()
    assert (sent.images, sent.documents) == ([], []), "the next look at the holder's list removes it"


def test_what_the_patient_refuses_here_is_not_shown_from_here(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    sent.bach_mai.records(refusal(THU, to="bach-mai"))
    assert sent.bach_mai.fetches(sent.study).status == 404


def test_a_study_that_grew_is_not_shown_by_half(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    more = replace(STUDY, count=STUDY.count + 1)
    sent.bac_ninh.publishes_study(more)
    assert sent.bach_mai.fetches(sent.study).status == 404, "what is here is another state of it"
    sent.bach_mai.brings_ahead()
    assert sent.bach_mai.finds_studies(THU).found
    assert sent.bach_mai.fetches(sent.study).instances == sha256s(more.slices("bac-ninh"))


def test_a_cut_line_resumes_and_sends_nothing_again(sent: Sent, lab: Lab) -> None:
    line = over(sent, cut=3 * STUDY.size)
    for _ in range(3):
        sent.bach_mai.brings_ahead()
        lab.clock.moves(by=timedelta(minutes=1))
    assert sent.wholes[0].complete and len(copies(sent)) == STUDY.count
    size = sum(map(len, STUDY.slices("bac-ninh")))
    assert line.images - size < 2 * size / STUDY.count


def test_a_withdrawal_in_the_middle_ends_it_and_leaves_nothing(sent: Sent) -> None:
    def withdrawn(answer: int) -> None:
        if answer == 3:
            sent.bac_ninh.withdraws(sent.request)
            jobs.carry_withdrawals(sent.bac_ninh.house)

    line = over(sent, at=withdrawn)
    sent.bach_mai.brings_ahead()
    assert line.answers == 3 and (sent.wholes, sent.images, sent.documents) == ((), [], [])


def test_copies_end_with_their_time(sent: Sent, lab: Lab) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    assert sent.bach_mai.finds_studies(THU).found
    lab.clock.moves(by=timedelta(days=sent.bach_mai.house.settings.ahead.days, seconds=1))
    assert sent.bach_mai.fetches(sent.study).status == 404
    sent.bach_mai.brings_ahead()
    assert sent.wholes == ()


def test_while_the_holder_is_silent_only_a_request_signed_here_opens_a_copy(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    assert sent.bach_mai.finds_studies(THU).found
    sent.bac_ninh.goes_down()
    assert sent.bach_mai.fetches(sent.study).status == 504
    sent.bach_mai.records(WrittenRequest(THU, to="bach-mai"))
    assert sent.bach_mai.fetches(sent.study).instances == sha256s(STUDY.slices("bac-ninh"))
    shown = sent.bach_mai.rows(direction="received", transaction="RAD-107")[-1]
    sent.bac_ninh.comes_up()
    sent.bac_ninh.lab.lists(replace(sent.bac_ninh.peer, speaks=frozenset({"xca"})))
    sent.bach_mai.house.transport.close()
    sent.bach_mai.brings_ahead()
    told = [row for row in sent.bac_ninh.rows(direction="disclosed") if row.exchange.startswith(shown.exchange)]
    assert {row.requester.subject for row in told} == {shown.requester.subject}


def test_the_viewer_opens_a_study_of_a_silent_holder_that_speaks_only_soap(sent: Sent) -> None:
    sent.bach_mai.brings_ahead()
    sent.arrives()
    assert sent.bach_mai.finds_studies(THU).found
    sent.bach_mai.records(WrittenRequest(THU, to="bach-mai"))
    sent.bac_ninh.goes_down()
    doctor = Act(sent.bach_mai.house, Caller(sent.bach_mai.requester(), "house"), "view-study")
    assert read_study_by_uid(doctor, STUDY.uid).instance_count == STUDY.count
    sent.bac_ninh.comes_up()
    sent.bac_ninh.lab.lists(replace(sent.bac_ninh.peer, speaks=frozenset({"xca"})))
    sent.bach_mai.house.transport.close()
    sent.bach_mai.brings_ahead()
    told = [row for row in sent.bac_ninh.rows(direction="disclosed") if row.exchange.startswith(doctor.exchange)]
    assert {row.requester.subject for row in told} == {"bs.minh"}


def test_only_what_is_here_whole_is_listed(sent: Sent) -> None:
    over(sent, cut=3 * STUDY.size)
    sent.bach_mai.brings_ahead()
    sent.bach_mai.registers(THU)
    assert 0 < len(copies(sent)) < STUDY.count
    assert sent.bach_mai.finds_studies(THU).found == []


def listed(number: int, content: bytes, *, status: DocumentStatus = DocumentStatus.CURRENT) -> DocumentEntry:
    """A manifest as a foreign registry lists it."""
    one = f"urn:uuid:00000000-0000-4000-8000-{number:012d}"
    number_there = PatientIdentifier("urn:oid:1.2.3", "7")
    attachment = Attachment("application/dicom", len(content), "0" * 40, "")
    return DocumentEntry(
        f"01001.{number}", one, f"urn:oid:1.2.3.{number}", number_there, "", attachment,
        categories=(IMAGING_REPORT,), status=status, format=MANIFEST_FORMAT, home=HomeCommunityId("urn:oid:1.2.3"),
        references=(PatientIdentifier(DICOM_UID, "urn:oid:1.2.9"),), repository="1.2.3.4",
    )  # fmt: skip


def manifest(*series: tuple[str, int]) -> bytes:
    """Of study 1.2.9, with so many objects of CT in each series."""
    ct = "1.2.840.10008.5.1.4.1.1.2"
    made = tuple(
        Series(uid, "CT", instances=tuple(Instance(f"{uid}.{n}", ct, "", "", 0) for n in range(1, count + 1)))
        for uid, count in series
    )
    of = Study("s", "1.2.9", PatientIdentifier("urn:oid:1.2.3", "7"), "r", series=made)
    return write_manifest(of, NOTHING_KNOWN, Source("1.2.3.5", "")).content


def test_a_study_that_several_manifests_list_is_all_of_them_and_a_replaced_one_says_nothing() -> None:
    first, second = manifest(("1.2.9.1", 2)), manifest(("1.2.9.2", 3))
    entries = [listed(2, second), listed(1, first), listed(3, first, status=DocumentStatus.SUPERSEDED)]
    found = manifests_by_study(entries)
    assert {uid: [one.id for one in them] for uid, them in found.items()} == {"1.2.9": ["01001.1", "01001.2"]}
    study = study_of("1.2.9", found["1.2.9"], (first, second))
    assert [(one.series_instance_uid, one.modality, len(one.instances)) for one in study.series] == [
        ("1.2.9.1", "CT", 2),
        ("1.2.9.2", "CT", 3),
    ]
    assert state_of_study(study) == state_of(found["1.2.9"]) != state_of(found["1.2.9"][:1])
    with pytest.raises(Unreadable):
        study_of("1.2.10", found["1.2.9"], (first, second))


def test_a_request_recorded_here_that_names_such_a_hospital_brings_its_records(lab: Lab) -> None:
    """It cannot announce whom it refers: the patient's request at this desk does."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    lab.lists(replace(bac_ninh.peer, speaks=frozenset({"xca"})))
    bac_ninh.registers(THU)
    study = bac_ninh.publishes_study(CtStudy(THU))
    bach_mai.registers(THU)
    request = bach_mai.records(WrittenRequest(THU, to="bach-mai", holder="bac-ninh"))
    bach_mai.brings_ahead()
    assert bach_mai.finds_studies(THU).found
    assert bach_mai.fetches(study).instances == sha256s(CtStudy(THU).slices("bac-ninh"))
    bach_mai.withdraws(request)
    with bach_mai.house.storage.read() as unit:
        assert unit.ahead.all() == ()
