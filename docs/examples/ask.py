"""Ask the network for a patient's documents, as any system of a hospital would: two libraries, no code of the node.

    python ask.py LAB.json HOSPITAL PATIENT-NUMBER     one line a hospital, one line a document
    python ask.py LAB.json HOSPITAL --token            only an access token, for use with curl

LAB.json is what `hie lab up` wrote. A real system has the same few facts in its own configuration.
"""

import json
import secrets
import sys
import time
from pathlib import Path

import jwt
import requests


def access_token(hospital, session):
    """A signed assertion for a token of five minutes (SMART Backend Services)."""
    client, token_url, now = hospital["clients"][0], hospital["house_url"] + "/oauth/token", int(time.time())
    claims = {"iss": client["client_id"], "sub": client["client_id"], "aud": token_url}
    claims |= {"exp": now + 240, "iat": now, "jti": secrets.token_urlsafe(16)}
    # on whose behalf, and why: this is what both hospitals and the patient will read in the record
    person = {"subject_id": "bs.minh", "subject_name": "BS. Trần Văn Minh", "subject_role": [{"code": "doctor"}]}
    claims["extensions"] = {"ihe_iua": person}
    key = Path(client["key_file"]).read_text()
    form = {
        "grant_type": "client_credentials",
        "scope": "system/DocumentReference.crs system/Binary.r",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": jwt.encode(claims, key, algorithm=client["alg"], headers={"kid": client["kid"]}),
    }
    answer = session.post(token_url, data=form, timeout=10)
    answer.raise_for_status()
    return answer.json()["access_token"]


def ask(hospital, session, number):
    """One question; the answer has the documents and one outcome for each hospital that was asked."""
    patient = number if "|" in number else f"{hospital['patient_id_system']}|{number}"
    answer = session.post(
        hospital["house_url"] + "/network/fhir/DocumentReference/_search",
        data={"patient.identifier": patient, "status": "current"},
        headers={"Authorization": "Bearer " + access_token(hospital, session)},
        timeout=10,
    )
    answer.raise_for_status()
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def main(lab_file, name, what):
    lab = json.loads(Path(lab_file).read_text())
    hospital = next(one for one in lab["hospitals"] if one["name"] == name)
    session = requests.Session()
    session.verify, session.trust_env = hospital["ca_file"], False
    if what == "--token":
        print(access_token(hospital, session))
        return
    for resource in ask(hospital, session, what):
        if resource["resourceType"] == "OperationOutcome":
            for issue in resource["issue"]:
                print(issue["details"]["text"])
        else:
            print("  ", resource["content"][0]["attachment"].get("title", ""), resource["id"])


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 4 else sys.exit(__doc__)
