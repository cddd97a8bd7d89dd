"""Publish, find and retrieve a document over SOAP, as an XDS.b system would: one library, no code of the node.

    TOKEN=$(python ask.py LAB.json HOSPITAL --token) python soap.py LAB.json HOSPITAL PATIENT-NUMBER FILE.pdf

LAB.json is what `hie lab up` wrote. The patient has to be known at the hospital.
"""

import json
import os
import sys
import uuid
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import requests

RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
NAMES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://www.w3.org/2005/08/addressing",
    "x": "urn:ihe:iti:xds-b:2007",
    "r": RIM,
    "g": "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0",
    "l": "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0",
    "q": "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0",
}
CODES = {  # classification scheme: code, coding scheme, display
    "41a5887f-8865-4c09-adf7-e362475b143a": ("18748-4", "2.16.840.1.113883.6.1", "Diagnostic imaging study"),
    "f4f85eac-e6cb-4883-b524-f2705394840f": ("N", "2.16.840.1.113883.5.25", "normal"),
    "a09d5840-386c-46f2-b5ad-9c3699a4309d": ("urn:ihe:rad:PDF", "1.3.6.1.4.1.19376.1.2.3", "PDF"),
    "f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1": ("HOSP", "2.16.840.1.113883.5.11", "Hospital"),
    "cccf5598-8b07-4b77-a05e-ae952c785ead": ("RAD", "2.16.840.1.113883.5.11", "Radiology"),
    "f0306f51-975f-434e-a61c-c59651d33983": ("24725-4", "2.16.840.1.113883.6.1", "CT Head"),
}


def oid():
    return f"2.25.{uuid.uuid4().int}"


def slot(name, value):
    listed = f"<r:ValueList><r:Value>{escape(value)}</r:Value></r:ValueList>"
    return f'<r:Slot name="{name}">{listed}</r:Slot>'


def code(owner, scheme, value, system, display):
    inside = f'{slot("codingScheme", system)}<r:Name><r:LocalizedString value="{display}"/></r:Name>'
    head = f'id="{uuid.uuid4().urn}" classificationScheme="urn:uuid:{scheme}" classifiedObject="{owner}"'
    return f'<r:Classification {head} nodeRepresentation="{value}">{inside}</r:Classification>'


def number(owner, scheme, value):
    head = f'id="{uuid.uuid4().urn}" registryObject="{owner}" identificationScheme="urn:uuid:{scheme}"'
    name = '<r:Name><r:LocalizedString value="id"/></r:Name>'
    return f'<r:ExternalIdentifier {head} value="{escape(value)}">{name}</r:ExternalIdentifier>'


def submission(patient, unique_id):
    """One document, the set that brings it, and the association of the two."""
    document = slot("creationTime", "20260503021500") + slot("languageCode", "vi-VN") + slot("sourcePatientId", patient)
    document += "".join(code("doc", scheme, *value) for scheme, value in CODES.items())
    document += number("doc", "58a6f841-87b3-4a3e-92fd-a8ffeff98427", patient)
    document += number("doc", "2e82c1f6-a085-4c72-9da3-8640a32e42ab", unique_id)
    brought = slot("submissionTime", "20260503030000")
    brought += code("set", "aa543740-bdda-424e-8c96-df4873be8500", "rad", "2.25.98", "Radiology")
    node = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
    brought += f'<r:Classification id="n" classifiedObject="set" classificationNode="{node}"/>'
    brought += number("set", "6b5aea1a-874d-4603-a4bc-96a0a7b38446", patient)
    brought += number("set", "554ac39e-e3fe-47fe-b233-965d2a147832", "2.25.5")
    brought += number("set", "96fdda7c-d067-4183-912e-bf5ee74998a8", oid())
    kind = 'mimeType="application/pdf" objectType="urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"'
    member = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
    link = f'id="a" associationType="{member}" sourceObject="set" targetObject="doc"'
    return (
        f'<l:SubmitObjectsRequest><r:RegistryObjectList><r:ExtrinsicObject id="doc" {kind}>{document}'
        f'</r:ExtrinsicObject><r:RegistryPackage id="set">{brought}</r:RegistryPackage>'
        f"<r:Association {link}>{slot('SubmissionSetStatus', 'Original')}</r:Association>"
        "</r:RegistryObjectList></l:SubmitObjectsRequest>"
    )


class Node:
    """The SOAP doors of one hospital."""

    def __init__(self, hospital, token):
        self.url, self.session = hospital["house_url"], requests.Session()
        self.session.verify, self.session.trust_env = hospital["ca_file"], False
        self.session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, path, action, body, parts=()):
        """One message; as an MTOM package, so that documents travel as bytes both ways."""
        declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMES.items())
        root = (
            f'<s:Envelope {declared}><s:Header><a:Action s:mustUnderstand="true">{action}</a:Action><a:MessageID>'
            f"{uuid.uuid4().urn}</a:MessageID></s:Header><s:Body>{body}</s:Body></s:Envelope>"
        ).encode()
        pieces = [("root", 'application/xop+xml; charset=UTF-8; type="application/soap+xml"', root), *parts]
        packed = b"".join(
            f"--b\r\nContent-ID: <{name}>\r\nContent-Type: {kind}\r\n\r\n".encode() + content + b"\r\n"
            for name, kind, content in pieces
        )
        kind = 'multipart/related; type="application/xop+xml"; start="<root>"; start-info="application/soap+xml"'
        headers = {"Content-Type": f"{kind}; boundary=b"}
        answer = self.session.post(self.url + path, packed + b"--b--\r\n", headers=headers, timeout=60)
        boundary = answer.headers["Content-Type"].split("boundary=")[1].split(";")[0].encode()
        parts = (b"\r\n" + answer.content).split(b"\r\n--" + boundary)[1:-1]
        found = [each.partition(b"\r\n\r\n")[2] for each in parts]
        return ElementTree.fromstring(found[0]), found[1:]  # noqa: S314 - what the own hospital's node sends


def main(lab_file, name, patient_number, file):
    lab = json.loads(Path(lab_file).read_text())
    hospital = next(one for one in lab["hospitals"] if one["name"] == name)
    node, iti = Node(hospital, os.environ["TOKEN"]), "urn:ihe:iti:2007:"
    patient = f"{patient_number}^^^&{hospital['patient_id_system'].removeprefix('urn:oid:')}&ISO"
    repository, unique_id = hospital["home_community_id"].removeprefix("urn:oid:") + ".2", oid()

    include = '<i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:file"/>'
    body = f'{submission(patient, unique_id)}<x:Document id="doc">{include}</x:Document>'
    body = f"<x:ProvideAndRegisterDocumentSetRequest>{body}</x:ProvideAndRegisterDocumentSetRequest>"
    part = ("file", "application/pdf", Path(file).read_bytes())
    answer, _ = node.ask("/xds/repository", f"{iti}ProvideAndRegisterDocumentSet-b", body, [part])
    print("published:", answer.find("s:Body", NAMES)[0].get("status"))
    for error in answer.iterfind(".//g:RegistryError", NAMES):
        sys.exit(f"{error.get('errorCode')}: {error.get('codeContext')}")

    approved = "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"
    slots = slot("$XDSDocumentEntryPatientId", f"'{patient}'") + slot("$XDSDocumentEntryStatus", approved)
    find = '<r:AdhocQuery id="urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d">'
    body = f'<q:AdhocQueryRequest><q:ResponseOption returnType="LeafClass"/>{find}{slots}</r:AdhocQuery>'
    answer, _ = node.ask("/xds/registry", f"{iti}RegistryStoredQuery", f"{body}</q:AdhocQueryRequest>")
    print("found:", len(answer.findall(".//r:ExtrinsicObject", NAMES)))

    wanted = f"<x:RepositoryUniqueId>{repository}</x:RepositoryUniqueId><x:DocumentUniqueId>{unique_id}"
    body = f"<x:DocumentRequest>{wanted}</x:DocumentUniqueId></x:DocumentRequest>"
    body = f"<x:RetrieveDocumentSetRequest>{body}</x:RetrieveDocumentSetRequest>"
    _, documents = node.ask("/xds/repository", f"{iti}RetrieveDocumentSet", body)
    print("retrieved, byte for byte:", documents == [Path(file).read_bytes()])


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 5 else sys.exit(__doc__)
