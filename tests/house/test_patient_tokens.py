"""Tokens that carry the consents behind them (IHE PCF): one patient's records only, and rules that narrow."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric import ec

from adapters.store.people import Client
from adapters.trust.jwk import from_base64url, public_jwk
from adapters.trust.jwt_door import encode
from adapters.trust.peer_tokens import make_peer_token
from adapters.trust.scopes import granted
from adapters.trust.smart import ASSERTION_TYPE
from consent.consents import Provision
from consent.requesters import Role
from registry.documents import DocumentEntry
from tests.lab import ALL, Hospital, Lab
from tests.papers import HOA, LAN, STRANGER, CtStudy, Person, ct_report, refusal, restricted_report, written_request
from tests.stand_in_edge import ask

KEY = ec.generate_private_key(ec.SECP384R1())
SCOPE = "system/DocumentReference.rs system/ImagingStudy.rs system/Binary.r system/Patient.rs system/Consent.cruds"


def asks_for_a_token(
    node: Hospital, person_id: str = "", scope: str = SCOPE, **more: str
) -> tuple[int, dict[str, Any]]:
    """As the HIS: a signed assertion at the token endpoint, for one patient."""
    with node.house.storage.begin() as unit:
        jwk = public_jwk(KEY.public_key())
        unit.people_of_the_house.add_client(
            Client("his", {"keys": [dict(jwk)]}, tuple(str(granted(ALL)).split()), Role.SYSTEM), replace=True
        )
    url, now = f"{node.house.settings.house.url}/oauth/token", int(node.house.now().timestamp())
    claims = {"iss": "his", "sub": "his", "aud": url, "iat": now, "exp": now + 240, "jti": secrets.token_urlsafe(16)}
    person = {"subject_id": "bs.minh", "subject_role": [{"code": "doctor"}]}
    claims["extensions"] = {"ihe_iua": {**person, **({"person_id": person_id} if person_id else {})}}
    assertion = encode(claims, KEY, kid=str(jwk["kid"]), typ="JWT", algorithm="ES384")
    form = {
        "grant_type": "client_credentials",
        "scope": scope,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        **more,
    }
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = ask(node.application, "house", "POST", "/oauth/token", headers=kind, body=urlencode(form).encode())
    return answer.status, json.loads(answer.body)


def claims_of(token: str) -> dict[str, Any]:
    return dict(json.loads(from_base64url(token.split(".")[1])))


def number_of(node: Hospital, person: Person) -> str:
    number = node.number_of(person)
    return f"{number.value}^^^&{number.system.removeprefix('urn:oid:')}&ISO"


def gets(node: Hospital, token: str, path: str) -> tuple[int, dict[str, Any]]:
    answer = ask(node.application, "house", "GET", path, headers={"Authorization": f"Bearer {token}"}, body=b"")
    return answer.status, json.loads(answer.body or b"{}")


def found(node: Hospital, token: str, path: str) -> set[str]:
    status, bundle = gets(node, token, path)
    assert status == 200
    return {entry["resource"]["id"] for entry in bundle.get("entry", ()) if entry["search"]["mode"] == "match"}


def test_a_client_id_beside_the_assertion_is_that_of_the_assertion(lab: Lab) -> None:
    """RFC 7521, 4.2: it is not needed; where it is given it names the same client."""
    node = lab.hospital("bach-mai")
    assert asks_for_a_token(node, client_id="his")[0] == 200
    assert asks_for_a_token(node, client_id="pacs") == (401, {"error": "invalid_client"})
    assert asks_for_a_token(node, client_id="")[0] == 200, "RFC 6749, 3.2: without a value it is not there"


def test_a_token_for_one_patient_opens_this_one_and_no_other(lab: Lab) -> None:
    node = lab.hospital("bach-mai")
    mine, study, other = (
        node.publishes(ct_report(LAN)),
        node.publishes_study(CtStudy(LAN)),
        node.publishes(ct_report(HOA)),
    )
    status, answer = asks_for_a_token(node, number_of(node, LAN))
    token = answer["access_token"]
    assert status == 200 and set(answer["scope"].split()) == set(SCOPE.split()[:3]), "only what is decided one by one"
    pcf = claims_of(token)["extensions"]["ihe_pcf"]
    assert pcf == {"patient_id": f"{node.house.settings.house.url}/fhir/Patient/{mine.record_id}"}
    assert found(node, token, f"/fhir/DocumentReference?patient.identifier={_of(node, LAN)}") == {mine.id}
    assert found(node, token, "/fhir/DocumentReference?status=current") == {mine.id}
    assert found(node, token, f"/fhir/DocumentReference?patient.identifier={_of(node, HOA)}") == set()
    assert gets(node, token, f"/fhir/DocumentReference/{other.id}")[0] == 404
    assert gets(node, token, f"/fhir/Binary/{other.id}")[0] == 404
    assert gets(node, token, f"/fhir/DocumentReference/{mine.id}")[0] == 200
    assert gets(node, token, f"/fhir/ImagingStudy/{study.id}")[0] == 200
    assert gets(node, token, f"/fhir/Patient/{mine.record_id}")[0] == 403
    assert gets(node, token, f"/network/fhir/DocumentReference?patient.identifier={_of(node, LAN)}")[0] == 403
    refused = [row for row in node.record if "outside-the-token" in row.reasons]
    assert {row.patient for row in refused} == {node.number_of(HOA)}


def test_a_batch_is_no_way_around_the_one_patient(lab: Lab) -> None:
    node = lab.hospital("bach-mai")
    mine, other = node.publishes(ct_report(LAN)), node.publishes(ct_report(HOA))
    token = asks_for_a_token(node, number_of(node, LAN))[1]["access_token"]
    paths = (f"DocumentReference/{mine.id}", f"DocumentReference/{other.id}", f"Patient/{mine.record_id}", "Consent")
    entries = [{"request": {"method": "GET", "url": path}} for path in paths]
    told = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
    body = json.dumps({"resourceType": "Bundle", "type": "batch", "entry": entries}).encode()
    answer = ask(node.application, "house", "POST", "/fhir", headers=told, body=body)
    assert answer.status == 200
    statuses = [one["response"]["status"][:3] for one in json.loads(answer.body)["entry"]]
    assert statuses == ["200", "404", "403", "403"]


def _of(node: Hospital, person: Person) -> str:
    number = node.number_of(person)
    return f"{number.system}|{number.value}"


def test_a_token_names_the_consents_behind_it_and_what_they_take_out(lab: Lab) -> None:
    node = lab.hospital("bach-mai")
    shown, hidden = node.publishes(ct_report(LAN)), node.publishes(ct_report(LAN, "Lần hai."))
    consent = node.records(written_request(LAN, to="bach-mai"))
    exception = Provision("deny", instances=frozenset({hidden.id}))
    consent = node.changes(consent, provision=replace(consent.provision, provisions=(exception,)))
    address = f"{node.house.settings.house.url}/fhir"
    token = asks_for_a_token(node, f"{address}/Patient/{shown.record_id}")[1]["access_token"]
    pcf = claims_of(token)["extensions"]["ihe_pcf"]
    assert (pcf["doc_id"], pcf["acp"]) == ([f"{address}/Consent/{consent.id}"], [consent.policy])
    instance = {"reference": f"DocumentReference/{hidden.id}"}
    assert pcf["residual"] == [{"type": "forbid", "data": [{"meaning": "instance", "reference": instance}]}]
    assert found(node, token, f"/fhir/DocumentReference?patient.identifier={_of(node, LAN)}") == {shown.id}
    assert gets(node, token, f"/fhir/DocumentReference/{hidden.id}")[0] == 404
    node.withdraws(consent)
    # the rules of a token hold as long as the token does, even where the patient would allow more by now
    assert found(node, token, f"/fhir/DocumentReference?patient.identifier={_of(node, LAN)}") == {shown.id}


def test_no_token_for_nobody_and_none_where_the_patient_refuses_all(lab: Lab) -> None:
    node = lab.hospital("bach-mai")
    node.publishes(ct_report(LAN))
    node.publishes(ct_report(HOA))
    node.records(refusal(HOA, to="bach-mai"))
    wrong = (number_of(node, STRANGER), number_of(node, HOA), "0031", f"{node.house.settings.house.url}/fhir/Patient/x")
    for person_id in wrong:
        assert asks_for_a_token(node, person_id) == (400, {"error": "invalid_grant"})
    only_writing = asks_for_a_token(node, number_of(node, LAN), "system/DocumentReference.c system/Patient.rs")
    assert only_writing == (400, {"error": "invalid_scope"})


def test_a_question_tells_the_holder_which_request_it_rests_on(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    plain, restricted = bac_ninh.publishes(ct_report(LAN)), bac_ninh.publishes(restricted_report(LAN))
    bach_mai.registers(LAN)
    bach_mai.records(written_request(LAN, to="bach-mai", labels=frozenset({"N"})))
    answer = bach_mai.finds_documents(LAN)
    assert [one.rpartition(".")[2] for one in answer.ids] == [plain.id]
    assert bac_ninh.rows(other=bach_mai.home)[-1].items == (plain.id,) and restricted.id not in answer.ids


def test_a_holder_shows_less_where_the_token_says_so(lab: Lab) -> None:
    """Rules of an asker that come with the token: the holder enforces them besides its own consents."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    first, second = bac_ninh.publishes(ct_report(LAN)), bac_ninh.publishes(ct_report(LAN, "Lần hai."))
    bac_ninh.records(written_request(LAN, to="bach-mai"))
    assert _shown_to(bach_mai, bac_ninh, []) == {first.id, second.id}
    forbidding = {"type": "forbid", "data": [{"meaning": "instance", "reference": _instance(first)}]}
    assert _shown_to(bach_mai, bac_ninh, [forbidding]) == {second.id}
    assert bac_ninh.rows(other=bach_mai.home)[-1].items == (second.id,)
    assert _shown_to(bach_mai, bac_ninh, [{"type": "forbid"}]) == set()
    assert _shown_to(bach_mai, bac_ninh, [{"type": "forbid", "verb": "?"}]) is None


def _instance(entry: DocumentEntry) -> dict[str, str]:
    return {"reference": f"DocumentReference/{entry.id}"}


def _shown_to(asker: Hospital, holder: Hospital, residual: list[dict[str, Any]]) -> set[str] | None:
    """What one question with these rules in its token brings; None where it is refused."""
    body = urlencode(LAN.question, doseq=True).encode()
    path, house = "/fhir/DocumentReference/_search", asker.house

    class Keys:
        """Signs as the asker does, with rules besides."""

        @staticmethod
        def sign(claims: dict[str, Any], typ: str) -> str:
            pcf = {"doc_id": ["urn:uuid:1"], "residual": residual}
            extensions = {**claims["extensions"], "ihe_pcf": pcf}
            return house.keys.sign({**claims, "extensions": extensions}, typ)

    token = make_peer_token(
        Keys,  # type: ignore[arg-type]
        asker.requester(),
        audience=holder.home,
        method="POST",
        path=path,
        body=body,
        certificate_thumbprint=house.transport.thumbprint,
        now=house.now(),
    )
    told = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-www-form-urlencoded"}
    deadline = house.settings.limits.answer_budget
    answer = house.transport.request(
        holder.peer, "POST", path, told, body, deadline=time.monotonic() + deadline, max_bytes=1 << 20
    )
    if answer.status != 200:
        assert answer.status == 401
        return None
    bundle = json.loads(answer.body)
    shown = {entry["resource"]["id"] for entry in bundle.get("entry", ()) if entry["search"]["mode"] == "match"}
    assert bundle["total"] == len(shown), "what a rule takes out is not counted either"
    return shown
