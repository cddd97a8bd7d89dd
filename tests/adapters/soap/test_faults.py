"""Every error of the rooms has its code or its fault, and none says more than its reader may learn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.peers import errors as peers
from adapters.soap import errors as soap
from adapters.soap import faults
from adapters.wire import WireRequest
from consent import errors as consent
from registry import errors as registry
from registry.identifiers import HomeCommunityId, PatientIdentifier

HERE = WireRequest("POST", "/xds/registry", "house", "https://here", HomeCommunityId("urn:oid:2.25.1"))


def below(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for each in kind.__subclasses__():
        yield from below(each)


def rooms() -> list[type[Exception]]:
    trees = (registry.RegistryError, consent.ConsentError, peers.PeerError, soap.SoapError)
    modules = {registry.__name__, consent.__name__, peers.__name__, soap.__name__}
    return [kind for tree in trees for kind in below(tree) if kind.__module__ in modules]


@pytest.mark.parametrize("kind", rooms(), ids=lambda kind: kind.__name__)
def test_no_error_is_missing(kind: type[Exception]) -> None:
    assert kind in faults.XDS_CODES or kind in faults.FAULTS


def test_what_was_found_in_a_message_is_not_repeated() -> None:
    told = faults.error_line(registry.InvalidValue("patientId", expected="a CX", found="001090000017")).told
    assert "001090000017" not in told
    assert "patientId" in told
    unknown = faults.error_line(registry.UnknownPatient(str(PatientIdentifier("urn:oid:2.25.2", "BN-00123456"))))
    assert (unknown.code, "BN-00123456" in unknown.told) == ("XDSUnknownPatientId", False)


def test_a_fault_of_ours_says_only_that_it_is_ours() -> None:
    answer = faults.registry_error(RuntimeError("password of the database"), HERE)
    assert answer.status == 500
    assert isinstance(answer.body, bytes)
    assert b"password" not in answer.body
    assert b"Receiver" in answer.body


def test_a_full_disk_is_said_and_nothing_is_acknowledged() -> None:
    answer = faults.registry_error(registry.StorageUnavailable("the store", "disk full"), HERE)
    assert isinstance(answer.body, bytes)
    assert (answer.status, b"XDSRegistryBusy" in answer.body, b"Failure" in answer.body) == (200, True, True)
