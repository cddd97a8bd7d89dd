"""What hospital systems get wrong by the thousand, at the doors where they hand in: nobody else pays for it."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tests.conformance.client import Client, Resource, own_name
from tests.lab import Lab


@pytest.fixture
def client(lab: Lab) -> Client:
    return Client(lab.hospital("bac-ninh"))


@pytest.mark.parametrize("what", ["identifier", "telecom"])
def test_a_patient_on_whom_a_program_hangs_everything_is_registered_like_others(client: Client, what: str) -> None:
    """A number for each visit, a telephone for each relative: more than one statement can look for."""
    many = {
        "identifier": [{"system": "http://his.example/visit", "value": f"V{n:06}"} for n in range(3_000)],
        "telecom": [{"system": "phone", "value": f"09{n:08}"} for n in range(3_000)],
    }[what]
    patient: Resource = {"resourceType": "Patient", "name": own_name(), "birthDate": "1990-12-01", what: many}

    def fed(number: str, **more: str) -> int:
        own = {"system": client.system, "value": number}
        carried = [own, *(many if what == "identifier" else ())]
        target = "/fhir/Patient?" + urlencode({"identifier": f"{client.system}|{number}"})
        return client("PUT", target, patient | {"identifier": carried} | more).status

    assert fed("BN11") == 201
    assert fed("BN11", birthDate="1990-12-02") == 200
    assert fed("BN12", birthDate="1990-12-02") == 201
