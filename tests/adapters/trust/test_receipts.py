"""Written requests as they travel: what the signing hospital said, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.trust.receipts import RECEIPT_TYPE, read_receipt, read_withdrawal, write_receipt, write_withdrawal
from consent.consents import Period
from consent.errors import InvalidReceipt
from consent.receipts import ConsentReceipt, Withdrawal
from consent.requesters import PurposeOfUse
from registry.identifiers import NATIONAL_ID, PatientIdentifier


@pytest.fixture
def receipt(bach_mai, bac_ninh, now):
    return ConsentReceipt(
        id="0b8d1a0e-1f4a-4e0e-9a53-6c8a7a3f2d11",
        patient=frozenset({PatientIdentifier(NATIONAL_ID, "001158000123"), PatientIdentifier("urn:oid:1.2.3", "BN-7")}),
        holders=frozenset({bac_ninh.home}),
        recipient=bach_mai.home,
        signer=bach_mai.home,
        purposes=frozenset({PurposeOfUse.TREAT, PurposeOfUse.COC}),
        valid=Period(now, now + timedelta(days=90)),
        given=now,
        issued=now + timedelta(microseconds=17),
        evidence_hash="ab" * 32,
        recorded_by="Lê Văn Quầy",
    )


def test_a_receipt_arrives_as_it_was_signed(receipt, bach_mai):
    assert read_receipt(write_receipt(bach_mai.keys, receipt), bach_mai.jwks) == receipt
    open_ended = replace(receipt, valid=Period(), holders=frozenset())
    assert read_receipt(write_receipt(bach_mai.keys, open_ended), bach_mai.jwks) == open_ended


def test_a_withdrawal_arrives_as_it_was_signed(bach_mai, now):
    withdrawal = Withdrawal("r-1", bach_mai.home, now, now)
    assert read_withdrawal(write_withdrawal(bach_mai.keys, withdrawal), bach_mai.jwks) == withdrawal


def test_a_hospital_cannot_sign_in_the_name_of_another(receipt, bach_mai, bac_ninh):
    forged = write_receipt(bac_ninh.keys, receipt)
    with pytest.raises(InvalidReceipt, match="unknown-key"):
        read_receipt(forged, bach_mai.jwks)


def test_a_withdrawal_is_not_a_receipt(bach_mai, now):
    jws = write_withdrawal(bach_mai.keys, Withdrawal("r-1", bach_mai.home, now, now))
    with pytest.raises(InvalidReceipt, match="type"):
        read_receipt(jws, bach_mai.jwks)


def test_a_receipt_larger_than_six_kilobytes_is_neither_made_nor_read(receipt, bach_mai):
    many = frozenset(PatientIdentifier("urn:oid:1.2.3", f"{number:0200}") for number in range(30))
    with pytest.raises(InvalidReceipt, match="oversize"):
        write_receipt(bach_mai.keys, replace(receipt, patient=many))
    with pytest.raises(InvalidReceipt, match="oversize"):
        read_receipt("x" * 6145, bach_mai.jwks)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("holders", None),
        ("holders", "all"),
        ("patient", [{"system": 7, "value": "x"}]),
        ("patient", [{"system": "urn:oid:1.2"}]),
        ("patient", {}),
        ("recipient", 7),
        ("recipient", "urn:uuid:1"),
        ("purposes", ["WHATEVER"]),
        ("valid", {"start": "2026-11-23T08:00:00"}),
        ("valid", {"until": "2026-11-23T08:00:00Z"}),
        ("valid", {"start": "2026-11-23T08:00:00Z", "end": "2026-11-22T08:00:00Z"}),
        ("given", "yesterday"),
        ("evidence", {"kind": "paper", "sha256": "short"}),
        ("evidence", []),
        ("jti", "../../etc"),
    ],
)
def test_a_signed_receipt_of_another_form_is_refused(receipt, bach_mai, name, value):
    import json

    from adapters.trust.jwk import from_base64url

    claims = json.loads(from_base64url(write_receipt(bach_mai.keys, receipt).split(".")[1]))
    jws = bach_mai.keys.sign(claims | {name: value}, RECEIPT_TYPE)
    with pytest.raises(InvalidReceipt):
        read_receipt(jws, bach_mai.jwks)
