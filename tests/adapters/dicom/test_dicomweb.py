"""What a modality, a viewer and a peer send and get over DICOMweb."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest
from lxml import etree

from adapters.dicom import dicom_json, multipart, native_xml, rad107_retrieve, rad108_store, rad129_search
from adapters.dicom.client import parts
from adapters.dicom.errors import BadParameter, BrokenMultipart, NotAcceptable, UnsupportedMedia
from adapters.dicom.matching import name_like
from adapters.dicom.multipart import Writer
from adapters.dicom.part10 import read_instance
from adapters.wire import WireRequest, WireResponse
from registry.answers import Community, CommunityOutcome, OutcomeKind
from registry.commands import FindStudies, Page, RelayedStudy, RetrievedStudy, RetrieveStudy, Stored, StoreInstances
from registry.errors import InvalidIdentifier, NotFound, Unreadable
from registry.identifiers import FacilityCode, HomeCommunityId, PatientIdentifier
from registry.studies import Instance, Study
from tests.adapters.dicom.files import (
    CT_IMAGE,
    EXPLICIT,
    JPEG_LS,
    OWN,
    SERIES,
    STUDY,
    ct_slice,
    element,
    part10,
    sequence,
    slice_body,
    study_of,
)

HOME = HomeCommunityId("urn:oid:1.2.3.4")
BASE = "https://hospital.example/dicomweb"
RELATED = 'multipart/related; type="application/dicom"'


def request(
    method: str, path: str, *, body: bytes | io.RawIOBase = b"", door: str = "house", **options: Any
) -> WireRequest:
    names = ("study", "series", "instance")
    words = [word for word in path.split("/") if (word and word[0].isdigit()) or "." in word]
    stream = io.BytesIO(body) if isinstance(body, bytes) else body
    params = dict(zip(names, words, strict=False))
    options = {"patient_id_system": OWN, "params": params, "body": stream, **options}
    return WireRequest(method, path, door, BASE, HOME, **options)


def multipart_of(*files: bytes, root: str = "application/dicom", of: str = "application/dicom") -> tuple[bytes, str]:
    writer = Writer(root)
    return b"".join(writer.body(((("Content-Type", of),), [file]) for file in files)), writer.content_type


def store(*files: bytes, path: str = "/studies", tmp_path: Any) -> StoreInstances:
    body, content_type = multipart_of(*files)
    return rad108_store.decode(
        request("POST", path, body=body, headers={"content-type": content_type}, spool=str(tmp_path))
    )


def study_from(*files: bytes) -> Study:
    """The study as the index would hold it after these files were stored."""
    read = [read_instance(io.BytesIO(file), size=len(file), own_issuer=OWN) for file in files]
    series = replace(read[0].series, instances=tuple(one.instance for one in read))
    return replace(read[0].study, id="s1", record_id="r1", series=(series,))


def retrieved(*files: bytes) -> RetrievedStudy:
    study = study_from(*files)
    pairs = zip(study.series[0].instances, files, strict=True)
    return RetrievedStudy(study, ((instance, iter([file[:99], file[99:]])) for instance, file in pairs))


def whole(response: WireResponse) -> bytes:
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)


def header(response: WireResponse, name: str) -> str:
    return next((value for key, value in response.headers if key.lower() == name.lower()), "")


def decoded(response: WireResponse) -> Any:
    return json.loads(whole(response))


# --- store ---------------------------------------------------------------------------------------------------------


def test_a_modality_stores_a_series_and_every_byte_arrives(tmp_path):
    files = study_of(3)
    command = store(*files, tmp_path=tmp_path)
    assert [b"".join(content.chunks()) for _, content in command.submission.instances] == files
    assert [read.instance.number for read, _ in command.submission.instances] == [1, 2, 3]
    assert {read.patient for read, _ in command.submission.instances} == {PatientIdentifier(OWN, "BN-0042")}
    assert command.refused == ()


def test_one_broken_slice_does_not_cost_the_others(tmp_path):
    one, two, three = study_of(3)
    command = store(one, two[:-3], three, tmp_path=tmp_path)
    assert len(command.submission.instances) == 2
    assert [failure.failure for failure in command.refused] == [49152]


def test_a_slice_of_another_study_than_addressed_is_refused(tmp_path):
    command = store(ct_slice(1), ct_slice(2, study="1.2.9"), path=f"/studies/{STUDY}", tmp_path=tmp_path)
    assert command.study_instance_uid == STUDY
    (refused,) = command.refused
    assert (refused.failure, refused.sop_instance_uid, refused.sop_class_uid) == (43264, f"{SERIES}.2", CT_IMAGE)


def stored(*files: bytes, **options: Any) -> Stored:
    study = study_from(*files)
    return Stored((study,), tuple((study.study_instance_uid, one) for one in study.series[0].instances), **options)


def test_the_answer_lists_what_was_stored_with_its_addresses():
    response = rad108_store.encode(stored(ct_slice()), request("POST", "/studies"))
    assert (response.status, header(response, "Content-Type")) == (200, "application/dicom+json")
    assert decoded(response) == {
        "00081190": {"vr": "UR", "Value": [f"{BASE}/studies/{STUDY}"]},
        "00081199": {
            "vr": "SQ",
            "Value": [
                {
                    "00081150": {"vr": "UI", "Value": [CT_IMAGE]},
                    "00081155": {"vr": "UI", "Value": [f"{SERIES}.1"]},
                    "00081190": {"vr": "UR", "Value": [f"{BASE}/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1"]},
                }
            ],
        },
    }


def test_some_failed_is_202_and_all_failed_409(tmp_path):
    refused = store(ct_slice()[:-1], tmp_path=tmp_path).refused
    some = rad108_store.encode(stored(ct_slice(), failed=refused), request("POST", "/studies"))
    none = rad108_store.encode(Stored((), failed=refused), request("POST", "/studies"))
    assert (some.status, none.status) == (202, 409)
    failures = {
        "00081198": {
            "vr": "SQ",
            "Value": [{"00081150": {"vr": "UI"}, "00081155": {"vr": "UI"}, "00081197": {"vr": "US", "Value": [49152]}}],
        }
    }
    assert decoded(none) == failures
    assert set(decoded(some)) == {"00081190", "00081198", "00081199"}
    warned = rad108_store.encode(
        stored(ct_slice(), warnings=('a "report" is missing\r\n',)), request("POST", "/studies")
    )
    assert (warned.status, header(warned, "Warning")) == (202, f'299 {BASE} "a ?report? is missing??"')


def test_a_body_of_another_kind_is_415_and_a_cut_one_400(tmp_path):
    body, content_type = multipart_of(ct_slice())
    html, html_type = multipart_of(b"<p>", of="text/html")
    for content, kind, error, status in (
        (body, "application/json", UnsupportedMedia, 415),
        (html, html_type, UnsupportedMedia, 415),
        (body[:-20], content_type, BrokenMultipart, 400),
        (b"", content_type, BrokenMultipart, 400),
    ):
        asked = request("POST", "/studies", body=content, headers={"content-type": kind}, spool=str(tmp_path))
        with pytest.raises(error) as caught:
            rad108_store.decode(asked)
        assert rad108_store.TRANSACTION.error(caught.value, asked).status == status


class Generated(io.RawIOBase):
    """A body that is made while it is read, so that the test holds none of it."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks, self.rest = chunks, b""

    def read(self, size: int = -1) -> bytes:
        self.rest = self.rest or next(self.chunks, b"")
        piece, self.rest = self.rest[:size], self.rest[size:]
        return piece


def test_a_ct_of_150_mb_is_stored_without_being_in_memory(tmp_path):
    count, pixels = 300, 512 * 1024
    writer = Writer()
    files = (ct_slice(number, pixels=bytes(pixels)) for number in range(1, count + 1))
    body = writer.body(((("Content-Type", "application/dicom"),), [file]) for file in files)
    asked = request(
        "POST", "/studies", body=Generated(body), headers={"content-type": writer.content_type}, spool=str(tmp_path)
    )
    tracemalloc.start()
    try:
        command = rad108_store.decode(asked)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(command.submission.instances) == count
    assert sum(read.instance.size for read, _ in command.submission.instances) > 150 << 20
    assert peak < 16 << 20


# --- retrieve ------------------------------------------------------------------------------------------------------

AS_STORED = {"accept": f"{RELATED}; transfer-syntax=*"}
STUDY_PATH = f"/studies/{STUDY}"
INSTANCE_PATH = f"{STUDY_PATH}/series/{SERIES}/instances/{SERIES}.1"


def test_a_study_comes_back_as_the_bytes_that_were_stored():
    files = [*study_of(2), part10(slice_body(3), preamble=b"II*\0not zero")]
    response = rad107_retrieve.encode(retrieved(*files), request("GET", STUDY_PATH, headers=AS_STORED))
    body = whole(response)
    assert int(header(response, "Content-Length")) == len(body)
    found = [
        (part.headers["content-type"], b"".join(part.chunks))
        for part in parts(header(response, "Content-Type"), [body])
    ]
    assert found == [(f"application/dicom; transfer-syntax={EXPLICIT}", file) for file in files]


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "multipart/*",
        RELATED,
        f"{RELATED}; transfer-syntax=*",
        f"{RELATED}; transfer-syntax={EXPLICIT}",
        f"{RELATED}; transfer-syntax={JPEG_LS};q=0.5, {RELATED}; transfer-syntax={EXPLICIT}; q=0.1",
        "multipart/related; type=application/dicom",
    ],
)
def test_a_caller_who_takes_what_is_stored_gets_it(accept):
    asked = request("GET", STUDY_PATH, headers={} if accept is None else {"accept": accept})
    assert rad107_retrieve.decode(asked) == RetrieveStudy(STUDY)
    assert rad107_retrieve.encode(retrieved(ct_slice()), asked).status == 200


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "image/jpeg",
        "application/dicom",
        'multipart/related; type="image/jpeg"',
        "*/*;q=0",
        f"{RELATED};q=no",
    ],
)
def test_a_caller_who_takes_no_dicom_is_told_before_anything_is_looked_up(accept):
    asked = request("GET", STUDY_PATH, headers={"accept": accept})
    with pytest.raises(NotAcceptable) as caught:
        rad107_retrieve.decode(asked)
    assert rad107_retrieve.TRANSACTION.error(caught.value, asked).status == 406


def test_another_transfer_syntax_is_406_and_never_a_conversion():
    asked = request("GET", STUDY_PATH, headers={"accept": f"{RELATED}; transfer-syntax={JPEG_LS}"})
    rad107_retrieve.decode(asked)
    with pytest.raises(NotAcceptable):
        rad107_retrieve.encode(retrieved(ct_slice()), asked)


def test_a_single_instance_can_be_had_bare_or_in_parts():
    file = ct_slice()
    bare = rad107_retrieve.encode(
        retrieved(file), request("GET", INSTANCE_PATH, headers={"accept": "application/dicom"})
    )
    assert header(bare, "Content-Type") == f"application/dicom; transfer-syntax={EXPLICIT}"
    assert int(header(bare, "Content-Length")) == len(file)
    assert whole(bare) == file
    boxed = rad107_retrieve.encode(retrieved(file), request("GET", INSTANCE_PATH))
    assert header(boxed, "Content-Type").startswith("multipart/related")


def test_a_path_names_study_series_and_instance():
    assert rad107_retrieve.decode(request("GET", INSTANCE_PATH)) == RetrieveStudy(STUDY, SERIES, f"{SERIES}.1")
    assert rad107_retrieve.decode(request("GET", f"{INSTANCE_PATH}/metadata")).metadata_only
    with pytest.raises(InvalidIdentifier):
        rad107_retrieve.decode(request("GET", "/studies/..%2f..%2fetc"))


def test_only_the_series_that_was_asked_for_is_announced():
    files = study_of(2)
    answer = retrieved(*files)
    other = replace(answer.study.series[0], series_instance_uid="1.2.5")
    answer = replace(answer, study=replace(answer.study, series=(*answer.study.series, other)))
    response = rad107_retrieve.encode(answer, request("GET", f"{STUDY_PATH}/series/{SERIES}"))
    assert int(header(response, "Content-Length")) == len(whole(response))


def test_a_series_that_the_study_does_not_have_is_404():
    with pytest.raises(NotFound):
        rad107_retrieve.encode(retrieved(ct_slice()), request("GET", f"{STUDY_PATH}/series/1.2.5"))


@pytest.mark.parametrize("fault", [lambda file: file[:-1], lambda file: file + b"x"])
def test_a_stored_file_that_changed_its_size_breaks_the_answer_off(fault):
    study = study_from(ct_slice())
    (instance,) = study.series[0].instances
    answer = RetrievedStudy(study, iter([(instance, iter([fault(ct_slice())]))]))
    with pytest.raises(Unreadable):
        whole(rad107_retrieve.encode(answer, request("GET", STUDY_PATH)))


def test_the_archive_is_let_go_when_the_reader_goes():
    closed = []

    def instances() -> Iterator[tuple[Instance, Iterator[bytes]]]:
        try:
            for instance in study.series[0].instances:
                yield instance, iter([ct_slice()])
        finally:
            closed.append(True)

    for path in (STUDY_PATH, f"{STUDY_PATH}/metadata"):
        study = study_from(*study_of(2))
        body = rad107_retrieve.encode(RetrievedStudy(study, instances()), request("GET", path)).body
        assert not isinstance(body, bytes)
        next(body)
        body.close()  # type: ignore[attr-defined]
    assert closed == [True, True]


def test_a_peers_answer_flows_through_as_it_is():
    content_type = f"{RELATED}; boundary=theirs"
    response = rad107_retrieve.encode(
        RelayedStudy(content_type, iter([b"--theirs", b"..."]), length=11), request("GET", STUDY_PATH)
    )
    assert (header(response, "Content-Type"), header(response, "Content-Length")) == (content_type, "11")
    assert whole(response) == b"--theirs..."


def test_a_study_of_150_mb_leaves_without_being_in_memory():
    size, pieces = 150 << 20, 1 << 18
    piece = bytes(pieces)
    study = study_from(ct_slice())
    instance = replace(study.series[0].instances[0], size=size)
    study = replace(study, series=(replace(study.series[0], instances=(instance,)),))
    chunks = islice(iter(lambda: piece, None), size // pieces)
    response = rad107_retrieve.encode(RetrievedStudy(study, iter([(instance, chunks)])), request("GET", STUDY_PATH))
    tracemalloc.start()
    try:
        sent = sum(len(chunk) for chunk in response.body)  # type: ignore[arg-type, misc]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sent == int(header(response, "Content-Length")) > size
    assert peak < 4 << 20


def test_what_is_stored_in_no_accepted_form_is_missing_and_said():
    native, compressed = ct_slice(1), part10(slice_body(2, encapsulated=True), syntax=JPEG_LS)
    asked = request("GET", STUDY_PATH, headers={"accept": f"{RELATED}; transfer-syntax={JPEG_LS}"})
    response = rad107_retrieve.encode(retrieved(native, compressed), asked)
    assert (response.status, header(response, "Warning").split('"')[1][:11]) == (206, "1 instances")
    assert [b"".join(part.chunks) for part in parts(header(response, "Content-Type"), iter([whole(response)]))] == [
        compressed
    ]


# --- headers -------------------------------------------------------------------------------------------------------


def metadata(*files: bytes, path: str = STUDY_PATH) -> Any:
    response = rad107_retrieve.encode(retrieved(*files), request("GET", f"{path}/metadata"))
    assert header(response, "Content-Type") == "application/dicom+json"
    return decoded(response)


def test_the_headers_of_a_study_come_without_pixels_and_in_utf8():
    found = metadata(*study_of(2))
    assert len(found) == 2
    first = found[0]
    assert first["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Nguyễn^Văn An"}]}
    assert first["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert first["00280010"] == {"vr": "US", "Value": [4]}
    assert first["00180050"] == {"vr": "DS", "Value": [1.25]}
    assert first["00200013"] == {"vr": "IS", "Value": [1]}
    bulk = f"{BASE}/studies/{STUDY}/series/{SERIES}/instances/{SERIES}.1/bulkdata/7FE00010"
    assert first["7FE00010"] == {"vr": "OW", "BulkDataURI": bulk}


def test_another_hospitals_node_is_given_headers_without_links():
    response = rad107_retrieve.encode(retrieved(ct_slice()), request("GET", f"{STUDY_PATH}/metadata", door="peer"))
    assert "7FE00010" not in decoded(response)[0]


def test_headers_in_any_byte_order_and_charset_say_the_same(tmp_path):
    undeclared = metadata(ct_slice(name="Trần^Bình".encode(), charset=None))[0]
    assert undeclared["00100010"]["Value"] == [{"Alphabetic": "Trần^Bình"}]
    nested = sequence(0x00081140, element(0x00081155, "UI", b"1.2.3"), b"")
    odd = [
        (0x00081140, nested),
        (0x00100032, element(0x00100032, "TM", b"")),
        (0x00281101, element(0x00281101, "US", b"\1\0\2\0\3\0")),
        (0x00189087, element(0x00189087, "FD", b"\0\0\0\0\0\0\xf8\x7f")),
        (0x00200032, element(0x00200032, "DS", b"1.5\\\\nan")),
        (0x00091010, element(0x00091010, "OB", b"\1\2")),
        (0x00280009, element(0x00280009, "AT", b"\x18\0\x63\x10")),
    ]
    found = metadata(ct_slice(extra=odd))[0]
    assert found["00081140"] == {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.3"]}}, {}]}
    assert found["00100032"] == {"vr": "TM"}
    assert found["00281101"] == {"vr": "US", "Value": [1, 2, 3]}
    assert found["00189087"] == {"vr": "FD"}
    assert found["00200032"] == {"vr": "DS", "Value": [1.5, None, "nan"]}
    assert found["00091010"] == {"vr": "OB", "InlineBinary": "AQI="}
    assert found["00280009"] == {"vr": "AT", "Value": ["00181063"]}


def test_no_more_of_a_stored_file_is_drawn_than_its_header():
    file, drawn = ct_slice(pixels=bytes(1 << 20)), []

    def chunks() -> Iterator[bytes]:
        for at in range(0, len(file), 4096):
            drawn.append(at)
            yield file[at : at + 4096]

    study = study_from(file)
    answer = RetrievedStudy(study, iter([(study.series[0].instances[0], chunks())]))
    whole(rad107_retrieve.encode(answer, request("GET", f"{STUDY_PATH}/metadata")))
    assert len(drawn) <= 2


# --- search --------------------------------------------------------------------------------------------------------


def find(*query: tuple[str, str], path: str = "/studies", **options: Any) -> FindStudies:
    return rad129_search.decode(request("GET", path, query=query, **options))


def rows(*studies: Study, path: str = "/studies", query: tuple[tuple[str, str], ...] = (), **page: Any) -> WireResponse:
    return rad129_search.encode(Page(studies, **page), request("GET", path, query=query))


XML = 'multipart/related; type="application/dicom+xml"'


@pytest.mark.parametrize("accept", [XML, "application/dicom+xml", f"{XML}, application/dicom+json;q=0.5"])
def test_who_asks_for_xml_gets_a_part_for_each_study(accept):
    study = study_from(ct_slice(name="Nguyễn^Văn An".encode(), charset=b"ISO_IR 192"))
    answer = rad129_search.encode(Page((study, study)), request("GET", "/studies", headers={"accept": accept}))
    kind = header(answer, "content-type")
    boundary = multipart.boundary_of(kind, "application/dicom+xml")
    found = [
        (part.media_type.value, etree.fromstring(b"".join(part.chunks)))
        for part in multipart.read_parts([whole(answer)], boundary)
    ]
    assert [each for each, _ in found] == ["application/dicom+xml"] * 2
    name = {None: native_xml.NAMESPACE}
    root = found[0][1]
    assert root.tag == f"{{{native_xml.NAMESPACE}}}NativeDicomModel"
    (uid,) = root.findall("DicomAttribute[@keyword='StudyInstanceUID'][@vr='UI']/Value", name)
    assert (uid.text, uid.get("number")) == (study.study_instance_uid, "1")
    person = "DicomAttribute[@tag='00100010']/PersonName[@number='1']/Alphabetic"
    assert root.findtext(f"{person}/FamilyName", namespaces=name) == "Nguyễn"
    assert root.findtext(f"{person}/GivenName", namespaces=name) == "Văn An"


@pytest.mark.parametrize("accept", ["application/dicom+json", "*/*", None, f"application/dicom+json, {XML};q=0.9"])
def test_who_prefers_json_gets_json(accept):
    asked = request("GET", "/studies", headers={} if accept is None else {"accept": accept})
    assert header(rad129_search.encode(Page((study_from(ct_slice()),)), asked), "content-type") == dicom_json.MEDIA_TYPE


@pytest.mark.parametrize("accept", ["text/html", 'multipart/related; type="application/dicom"', f"{XML};q=0"])
def test_who_takes_neither_is_told(accept):
    with pytest.raises(NotAcceptable, match="xml"):
        find(headers={"accept": accept})


def test_every_kind_of_value_has_its_place_in_the_xml():
    said = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
        "00081140": {"vr": "SQ", "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.3"]}}, {}]},
        "00091010": {"vr": "OB", "InlineBinary": "AQI="},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B\x01", "Ideographic": "C"}]},
        "00200032": {"vr": "DS", "Value": [1.5, None, -3.0]},
        "7FE00010": {"vr": "OW", "BulkDataURI": "https://example.org/b"},
    }
    root = etree.fromstring(native_xml.document(said))
    name = {None: native_xml.NAMESPACE}
    assert [each.get("tag") for each in root] == list(said)
    assert [each.get("number") for each in root.findall("DicomAttribute/Item", name)] == ["1", "2"]
    assert root.findtext("DicomAttribute/Item/DicomAttribute/Value", namespaces=name) == "1.2.3"
    assert root.findtext("DicomAttribute/InlineBinary", namespaces=name) == "AQI="
    numbers = root.findall("DicomAttribute[@tag='00200032']/Value", name)
    assert [(each.get("number"), each.text) for each in numbers] == [("1", "1.5"), ("3", "-3.0")]
    assert root.findtext(".//GivenName", namespaces=name) == "B\ufffd"
    assert root.find("DicomAttribute/BulkData", name).get("uri") == "https://example.org/b"
    assert root[2].get("keyword") is None, "a private attribute has none"


def test_a_patients_number_means_the_hospitals_own_unless_its_issuer_is_named():
    own = find(("PatientID", "BN-0042")).search.patient.described
    other = find(("00100020", "BN-0042"), ("IssuerOfPatientID", "urn:oid:1.2.9")).search.patient.described
    assert own is not None and own.identifiers == (PatientIdentifier(OWN, "BN-0042"),)
    assert other is not None and other.identifiers == (PatientIdentifier("urn:oid:1.2.9", "BN-0042"),)
    with pytest.raises(BadParameter, match="IssuerOfPatientID"):
        find(("PatientID", "BN-0042"), door="peer")


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("PatientName", "nguyen*", True),
        ("PatientName", "NGUYỄN^VĂN AN", True),
        ("PatientName", "*van ?n", True),
        ("PatientName", "Trần*", False),
        ("StudyDate", "20260310", True),
        ("StudyDate", "20260101-", True),
        ("StudyDate", "-20260309", False),
        ("StudyDate", "20260309-20260311", True),
        ("ModalitiesInStudy", "CT", True),
        ("ModalitiesInStudy", "MR\\CT", True),
        ("ModalitiesInStudy", "MR", False),
        ("AccessionNumber", "ACC?", True),
        ("AccessionNumber", "[A]CC1", False),
        ("StudyDate", "", True),
        ("StudyTime", "08", True),
        ("StudyTime", "0816-", False),
        ("StudyTime", "-0815", True),
        ("StudyTime", "081530.5-0900", True),
        ("StudyTime", "081530.5", True),
        ("StudyTime", "081530.4", False),
        ("StudyTime", "081530.6-", False),
        ("StudyTime", "-081530.4", False),
        ("StudyTime", "-081530.500000", True),
        ("StudyTime", "081530", True),
        ("PatientName", "Nguyen^*", True),
        ("PatientName", "*^van*", True),
        ("PatientName", "Nguyen^*^*", True),
        ("PatientName", "*^*^x", False),
        ("PatientName", "Nguyen", False),
        ("PatientName", "nguyen*=", True),
        ("PatientName", "nguyen*=阮*", False),
        ("PatientName", "=阮*", False),
        ("StudyDescription", "ct so*", True),
        ("ReferringPhysicianName", "Hoa*", False),
        ("StudyID", "7", False),
        ("PatientName", "*", True),
    ],
)
def test_studies_are_found_by_what_a_viewer_asks(name, value, fits):
    assert find((name, value)).search.accepts(study_from(ct_slice())) is fits


def test_a_wildcard_made_to_hang_the_search_does_not():
    study = study_from(ct_slice(name=b"a" * 64))
    assert not find(("PatientName", "*a" * 200 + "b")).search.accepts(study)


@pytest.mark.parametrize(
    "given",
    [("1.2,1.3\\1.4",), ("1.2", "1.3", "1.4"), ("1.2,1.3", "1.4", "")],
)
def test_a_list_of_study_uids_is_searched_by_uid(given):
    query = tuple(("StudyInstanceUID", each) for each in given)
    assert find(*query).search.study_instance_uids == ("1.2", "1.3", "1.4")


def test_lists_of_series_and_objects_are_lists_of_uids():
    study = study_from(*study_of(3))
    query = (("SOPInstanceUID", f"{SERIES}.1"), ("SOPInstanceUID", f"{SERIES}.3"))
    found = decoded(rows(study, path=f"{STUDY_PATH}/instances", query=query))
    assert [one["00200013"]["Value"] for one in found] == [[1], [3]]
    for key in ("SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
        with pytest.raises(BadParameter, match=key):
            find((key, f"{SERIES}*"), path=f"{STUDY_PATH}/instances")


@pytest.mark.parametrize("group", ["Nguyễn^An=阮^安", "Nguyễn^An"])
def test_a_pattern_with_groups_compares_each_with_its_own(group):
    fits = name_like("nguyen*=阮*")
    assert fits(group) is ("=" in group)
    assert name_like("阮*")(group) is ("=" in group), "a pattern of one group fits any"
    assert not name_like("阮*=")(group), "but not another place"


def test_with_a_limit_of_nothing_only_the_headers_speak():
    command = find(("limit", "0"))
    assert command.search.count_only and command.search.limit == 1
    study = study_from(*study_of(3))
    page = Page((), total=1)
    answer = rad129_search.encode(page, request("GET", "/studies", query=(("limit", "0"),)))
    assert (answer.status, answer.body, "are 1 additional" in header(answer, "Warning")) == (204, b"", True)
    inside = rad129_search.encode(page, request("GET", f"{STUDY_PATH}/series", query=(("limit", "0"),)))
    assert (inside.status, "There are additional results" in header(inside, "Warning")) == (204, True)
    assert study.instance_count == 3


def test_headers_come_as_xml_for_a_caller_who_wants_it():
    wish = {"accept": 'multipart/related; type="application/dicom+xml"'}
    for answer in (retrieved(*study_of(2)), RelayedStudy("application/dicom+json", iter([_listed_elsewhere()]))):
        response = rad107_retrieve.encode(answer, request("GET", f"{STUDY_PATH}/metadata", headers=wish))
        kind = header(response, "Content-Type")
        boundary = multipart.boundary_of(kind, root="application/dicom+xml")
        roots = [etree.fromstring(b"".join(part.chunks)) for part in multipart.read_parts([whole(response)], boundary)]
        name = {None: native_xml.NAMESPACE}
        uids = [root.findtext("DicomAttribute[@tag='00080018']/Value", namespaces=name) for root in roots]
        assert uids == [f"{SERIES}.1", f"{SERIES}.2"]


def _listed_elsewhere() -> bytes:
    return whole(rad107_retrieve.encode(retrieved(*study_of(2)), request("GET", f"{STUDY_PATH}/metadata")))


def test_headers_from_elsewhere_that_are_no_list_are_refused():
    wish = {"accept": "application/dicom+xml"}
    for content in (b"{", b"[1]", b"<a/>"):
        with pytest.raises(Unreadable):
            rad107_retrieve.encode(
                RelayedStudy("application/dicom+json", iter([content])),
                request("GET", f"{STUDY_PATH}/metadata", headers=wish),
            )


@pytest.mark.parametrize(
    "query",
    [
        (("PatientNam", "x"),),
        (("PatientAge", "068Y"),),
        (("00101010", "x"),),
        (("StudyDate", "2026-03-10"),),
        (("StudyDate", "20261341"),),
        (("StudyDate", "-"),),
        (("StudyTime", "-"),),
        (("StudyTime", "8:15"),),
        (("StudyTime", "08.5"),),
        (("StudyTime", "2460"),),
        (("StudyTime", "081530.1234567"),),
        (("Modality", "CT"), ("Modality", "MR")),
        (("StudyInstanceUID", "../x"),),
        (("PatientID", "BN*"),),
        (("IssuerOfPatientID", "x"),),
        (("limit", "-1"),),
        (("limit", "²"),),
        (("limit", "1"), ("limit", "2")),
        (("offset", "1"), ("offset", "1")),
        (("includefield", "RequestAttributesSequence.NoSuchField"),),
        (("offset", "99999999"),),
        (("fuzzymatching", "maybe"),),
        (("includefield", "NoSuchField"),),
        (("StudyDate", "20260310"), ("00080020", "20260311")),
        (("PatientName", "a\0"),),
        (("AccessionNumber", "x" * 5000),),
    ],
)
def test_what_is_not_understood_is_refused_and_not_passed_over(query):
    with pytest.raises((BadParameter, InvalidIdentifier)) as caught:
        find(*query)
    answer = rad129_search.TRANSACTION.error(caught.value, request("GET", "/studies"))
    assert answer.status == 400


def test_nothing_found_is_204_and_something_is_dicom_json():
    assert (rows().status, rows().body) == (204, b"")
    response = rows(study_from(*study_of(2)))
    (found,) = decoded(response)
    assert (response.status, header(response, "Content-Type")) == (200, "application/dicom+json")
    assert found["0020000D"] == {"vr": "UI", "Value": [STUDY]}
    assert found["00080061"] == {"vr": "CS", "Value": ["CT"]}
    assert found["00201208"] == {"vr": "IS", "Value": [2]}
    assert found["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Nguyễn^Văn An"}]}
    assert (found["00080020"]["Value"], found["00080030"]["Value"]) == (["20260310"], ["081530"])
    assert found["00080201"] == {"vr": "SH", "Value": ["+0700"]}
    assert found["00081190"] == {"vr": "UR", "Value": [f"{BASE}/studies/{STUDY}"]}
    assert found["00100021"] == {"vr": "LO", "Value": [OWN]}


def test_series_and_instances_of_a_study_are_listed_and_filtered():
    study = study_from(*study_of(3))
    (series,) = decoded(rows(study, path=f"{STUDY_PATH}/series"))
    assert (series["0020000E"]["Value"], series["00201209"]["Value"]) == ([SERIES], [3])
    assert rows(study, path=f"{STUDY_PATH}/series", query=(("Modality", "MR"),)).status == 204
    assert len(decoded(rows(study, path=f"{STUDY_PATH}/instances"))) == 3
    (third,) = decoded(rows(study, path=f"{STUDY_PATH}/series/{SERIES}/instances", query=(("InstanceNumber", "3"),)))
    assert third["00080018"]["Value"] == [f"{SERIES}.3"]
    assert rows(study, path=f"{STUDY_PATH}/series/1.2.5/instances").status == 204
    with pytest.raises(NotFound):
        rows(path=f"{STUDY_PATH}/series")
    with pytest.raises(BadParameter):
        find(("PatientName", "x"), path=f"{STUDY_PATH}/series")


def test_a_path_into_a_sequence_may_be_asked_for_and_is_not_kept():
    inside = (("includefield", "RequestAttributesSequence.AccessionNumber"), ("includefield", "00400275.00400009"))
    assert find(*inside)
    assert "00400275" not in decoded(rows(study_from(ct_slice()), query=inside))[0]


def test_pages_follow_each_other_and_the_rest_is_counted():
    study = study_from(*study_of(5))
    path = f"{STUDY_PATH}/instances"
    numbers = []
    for offset in (0, 2, 4):
        response = rows(study, path=path, query=(("limit", "2"), ("offset", str(offset))))
        numbers += [one["00200013"]["Value"][0] for one in decoded(response)]
        left = 3 - offset
        assert ("additional results" in header(response, "Warning")) is (left > 0)
        assert left <= 0 or f"are {left} " in header(response, "Warning")
    assert numbers == [1, 2, 3, 4, 5]
    assert find(("limit", "10"), ("offset", "20")).search.limit == 30


def test_silent_and_withholding_hospitals_are_named():
    community = Community(HomeCommunityId("urn:oid:1.2.5"), FacilityCode("24001"), "Bắc Ninh")
    outcomes = (CommunityOutcome(community, OutcomeKind.SILENT), CommunityOutcome(community, OutcomeKind.ANSWERED, 1))
    response = rows(outcomes=outcomes, withheld=True)
    warnings = [value for name, value in response.headers if name == "Warning"]
    assert response.status == 204
    assert [any(word in text for text in warnings) for word in ("24001: silent", "patient's request", "answered")] == [
        True,
        True,
        False,
    ]
    assert all(value.isascii() for value in warnings)


def test_times_of_another_clock_keep_their_offset():
    study = replace(study_from(ct_slice()), started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert decoded(rows(study))[0]["00080201"]["Value"] == ["+0000"]
