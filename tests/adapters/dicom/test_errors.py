"""Every refusal has its status, and none of them tells an outsider more than it should."""

from __future__ import annotations

import inspect
import json

import pytest

from adapters.dicom import errors
from adapters.dicom.errors import STATUS, BadParameter, problem
from adapters.wire import WireRequest
from consent import errors as consent
from consent.errors import InvalidReceipt, TokenRefused
from registry import errors as registry
from registry.errors import InvalidIdentifier, NotFound, StorageUnavailable
from registry.identifiers import HomeCommunityId

ASKED = WireRequest("GET", "/studies", "peer", "https://hospital.example/dicomweb", HomeCommunityId("urn:oid:1.2"))


@pytest.mark.parametrize("room", [registry, consent, errors], ids=lambda room: room.__name__)
def test_no_error_of_the_rooms_is_without_a_status(room):
    kinds = [kind for _, kind in inspect.getmembers(room, inspect.isclass) if issubclass(kind, Exception)]
    assert kinds
    assert [kind.__name__ for kind in kinds if kind not in STATUS] == []


def test_a_refusal_looks_like_absence():
    absent, refused = problem(NotFound("study 1.2.3"), ASKED), problem(InvalidReceipt("expired"), ASKED)
    assert absent == refused
    assert absent.status == 404
    assert b"1.2.3" not in absent.body  # type: ignore[operator]


def test_a_problem_says_what_was_expected_and_not_what_was_found():
    response = problem(InvalidIdentifier("PatientID", expected="digits", found="TRAN THI MAI"), ASKED)
    assert dict(response.headers)["Content-Type"] == "application/problem+json"
    assert json.loads(response.body) == {  # type: ignore[arg-type]
        "type": "about:blank",
        "title": "an identifier has the wrong form",
        "status": 400,
        "detail": "PatientID: expected digits",
    }


def test_a_value_typed_as_a_parameter_name_is_not_repeated():
    assert "Nguyễn" not in str(BadParameter("Nguyễn Thị Lan", "unknown"))


def test_storage_that_is_away_asks_to_come_back_and_says_no_more():
    response = problem(StorageUnavailable("database", "/srv/secret/path"), ASKED)
    assert (response.status, dict(response.headers)["Retry-After"]) == (503, "30")
    assert b"secret" not in response.body  # type: ignore[operator]


def test_a_fault_of_ours_and_a_refused_token_are_answered_without_detail():
    for error, status in ((KeyError("Nguyen Van A"), 500), (TokenRefused("signature"), 401)):
        response = problem(error, ASKED)
        assert response.status == status
        assert "detail" not in json.loads(response.body)  # type: ignore[arg-type]
