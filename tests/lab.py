"""Real hospitals in one process: real homes, databases, keys and certificates, peers over real TLS, one clock.

    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    report = bac_ninh.publishes(ct_report(LAN))
    bach_mai.records(written_request(LAN, to="bach-mai"))
    assert report in bach_mai.finds_documents(LAN)

Only the edge is a stand-in (`tests/stand_in_edge.py`); what needs processes is in `tests/house/test_never_lost.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from adapters.dicom.client import parts
from adapters.dropped.sidecar import read_sidecar
from adapters.fhir.community import OUTCOME_SYSTEM
from adapters.peers.transport import PeerResponse
from adapters.trust import certificates
from adapters.trust.certificates import Credential
from adapters.trust.directory import write_by_hand
from adapters.trust.receipts import write_receipt
from adapters.trust.scopes import granted
from adapters.trust.smart import issue_access_token
from consent.commands import DeleteConsent, RecordConsent
from consent.consents import BASIC_NORMAL, DENY, Actor, Consent, Evidence, Period, Provision
from consent.disclosures import Disclosure
from consent.receipts import ConsentReceipt
from consent.requesters import PurposeOfUse, Requester, Role
from consent.verification import Verification
from hie_node import jobs, telling
from hie_node.acts import Act
from hie_node.bootstrap import build
from hie_node.doors import application
from hie_node.flows import audit
from hie_node.flows.ahead import bring_ahead
from hie_node.flows.consents import delete_consent, record_consent
from hie_node.flows.peer_call import Asking, call_peer, stream_from_peer
from hie_node.flows.publish import publish
from hie_node.house import House, new_id
from hie_node.init import NewNode, create, derived_community, own_entry
from hie_node.publishing import Published, publish_paths, publisher
from hie_node.setting_tables import Limits
from hie_node.settings import Settings
from registry.commands import ProvideSubmission
from registry.directory import Peer
from registry.documents import DocumentEntry
from registry.identifiers import FacilityCode, HomeCommunityId, PatientIdentifier
from registry.people import PatientInQuestion
from registry.searches import DocumentSearch, PatientSelector
from registry.studies import Study
from registry.submissions import Submission
from tests.conformance.judged import judged
from tests.conformance.profiles import refuse_faulty
from tests.papers import CtStudy, Person, Report, WrittenRequest
from tests.stand_in_edge import PeerDoor, Reply, ask

FACILITIES = {"bac-ninh": "27001", "thai-nguyen": "19001", "bach-mai": "01929"}
ALL = "system/*.cruds"
DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
JSON = "application/fhir+json, application/dicom+json, */*;q=0.1"
PATIENCE = 10.0
"""Seconds of the answer budget, unless a test is about the budget: a busy machine must not look like a silent peer."""


class Clock:
    """The one clock of all hospitals; it stands still until a test moves it."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.moment

    def moves(self, *, by: timedelta) -> None:
        self.moment += by


@dataclass(frozen=True)
class Answer:
    """What a doctor, or a peer, got to see. A document of another hospital is in it under its labelled id."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def bundle(self) -> dict[str, Any]:
        return dict(json.loads(self.body))

    @property
    def resources(self) -> list[dict[str, Any]]:
        return [entry["resource"] for entry in self.bundle.get("entry", [])]

    @property
    def found(self) -> list[dict[str, Any]]:
        return [one for one in self.resources if one["resourceType"] != "OperationOutcome"]

    @property
    def ids(self) -> list[str]:
        return [one["id"] for one in self.found]

    @property
    def total(self) -> int | None:
        return self.bundle.get("total")

    @property
    def issues(self) -> list[dict[str, Any]]:
        outcomes = [self.bundle, *self.resources] if self.bundle["resourceType"] != "Bundle" else self.resources
        return [issue for one in outcomes for issue in one.get("issue", ())]

    @property
    def said(self) -> list[str]:
        """The kinds of outcome in it, in their order."""
        codings = [coding for issue in self.issues for coding in issue.get("details", {}).get("coding", ())]
        return [coding["code"] for coding in codings if coding.get("system") == OUTCOME_SYSTEM]

    @property
    def lines(self) -> dict[str, str]:
        """What became of each hospital that was asked, by its homeCommunityId."""
        told = {}
        for issue in self.issues:
            for extension in issue.get("extension", ()):
                home = extension["valueOid"]
                assert home not in told, "one line for each hospital"
                told[home] = issue["details"]["coding"][0]["code"]
        return told

    def __contains__(self, thing: DocumentEntry | Study) -> bool:
        return any(one.rpartition(".")[2] == thing.id for one in self.ids)


@dataclass(frozen=True)
class Fetched:
    """A document or a study on arrival; `broken` when it did not end as announced."""

    status: int
    body: bytes = b""
    broken: BaseException | None = None
    content_type: str = ""

    @property
    def instances(self) -> set[str]:
        """SHA-256 of each instance of a study."""
        return {hashlib.sha256(b"".join(p.chunks)).hexdigest() for p in parts(self.content_type, iter([self.body]))}


class Hospital:
    """One hospital with its node, its staff and its systems."""

    def __init__(self, lab: Lab, name: str, house: House, door: PeerDoor) -> None:
        self.lab, self.name, self.house, self.door = lab, name, house, door
        self.application = judged(application(house), lab.faulty)

    # -- who and where

    @property
    def home(self) -> HomeCommunityId:
        return self.house.home

    @property
    def facility(self) -> str:
        return str(self.house.settings.facility_code)

    @property
    def peer(self) -> Peer:
        found = self.house.directory.current().peer(self.home)
        assert found is not None
        return found

    def number_of(self, person: Person) -> PatientIdentifier:
        return PatientIdentifier(self.house.settings.patient_id_system, person.number_at(self.name))

    def requester(
        self, role: Role = Role.DOCTOR, purpose: PurposeOfUse = PurposeOfUse.TREAT, reason: str = ""
    ) -> Requester:
        return Requester(
            "bs.minh", role, self.home, "BS. Minh", self.house.settings.name, purpose, reason, client_id="his"
        )

    # -- what its systems publish

    def publishes(self, report: Report) -> DocumentEntry:
        """Read as from the drop folder, published as every document is."""
        act = Act(self.house, publisher(self.house, "his"), "publish")
        return publish(act, ProvideSubmission(self.submission(report))).documents[0]

    def submission(self, report: Report) -> Submission:
        document, note = report.files(self.name)
        settings = self.house.settings
        read = read_sidecar(document, note, patient_id_system=settings.patient_id_system, home=self.home).submission
        one = read.documents[0]
        labelled = replace(one.entry, sensitivity=one.entry.sensitivity + report.labels)
        return replace(read, documents=(replace(one, entry=labelled, codes=one.codes + report.codes),))

    def publishes_study(self, study: CtStudy) -> Study:
        outcome = self.publishes_files({f"{n:03d}.dcm": content for n, content in enumerate(study.slices(self.name))})
        assert not outcome[-1].reason, outcome[-1].reason
        with self.house.storage.read() as unit:
            found = unit.studies.by_uid(study.uid)
        assert found is not None
        return found

    def publishes_files(self, files: Mapping[str, bytes]) -> list[Published]:
        folder = self.lab.folder / f"emitted-{new_id()}"
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return list(publish_paths(self.house, [folder], who="his"))

    def registers(self, person: Person, *, number: str | None = None) -> str:
        """At the reception, through ITI-104; returns the logical id."""
        return str(self.feeds(person, number=number).bundle["id"])

    def feeds(self, person: Person, *, number: str | None = None, merged_into: str | None = None) -> Answer:
        value = number or person.number_at(self.name)
        system = self.house.settings.patient_id_system
        carried = [{"system": system, "value": value}] + [{"system": s, "value": v} for s, v in person.numbers]
        resource: dict[str, Any] = {
            "resourceType": "Patient",
            "identifier": carried,
            "name": [{"text": person.name}],
            "birthDate": person.born,
            "gender": person.gender,
            "active": merged_into is None,
        }
        if merged_into is not None:
            other = {"identifier": {"system": system, "value": merged_into}}
            resource["link"] = [{"other": other, "type": "replaced-by"}]
        target = "/fhir/Patient?" + urlencode({"identifier": f"{system}|{value}"})
        return self.asked("PUT", target, resource)

    # -- what its patients allow

    def records(self, request: WrittenRequest) -> Consent:
        """The consent desk records what a patient signed."""
        now, to = self.house.now(), request.to
        start, end = request.period(now)
        provision = Provision(
            "permit" if request.type == "permit" else "deny",
            period=Period(start, end),
            actors=(Actor(home=self.lab.home_of(to)),) if to else (),
            purposes=frozenset(map(PurposeOfUse, request.purposes)),
            labels=request.labels,
        )
        consent = Consent(
            id="",
            patient=self.number_of(request.by),
            record_id="",
            status="active",
            given=now - request.given_ago,
            policy=BASIC_NORMAL if request.type == "permit" else DENY,
            provision=provision,
            custodian=self.lab.home_of(request.holder) if request.holder else None,
            evidence=Evidence("paper", "", represented_by=request.represented_by),
        )
        who = PatientSelector(described=PatientInQuestion((self.number_of(request.by),)))
        command = RecordConsent(consent, patient=who, evidence=(request.evidence, "application/pdf"))
        return record_consent(self._act("hie consent", Role.CONSENT_DESK), command)

    def changes(self, consent: Consent, **changed: object) -> Consent:
        """The same consent with something else in it: a new version."""
        who = PatientSelector(record_id=consent.record_id)
        command = RecordConsent(replace(consent, **changed), patient=who, create=False)  # type: ignore[arg-type]
        return record_consent(self._act("hie consent", Role.CONSENT_DESK), command)

    def withdraws(self, consent: Consent) -> None:
        delete_consent(self._act("hie consent", Role.CONSENT_DESK), DeleteConsent(consent.id))

    def _act(self, transaction: str, role: Role) -> Act:
        return Act(self.house, replace(publisher(self.house, "desk"), requester=self.requester(role)), transaction)

    def signs(self, receipt: ConsentReceipt) -> str:
        return write_receipt(self.house.keys, receipt)

    # -- what its doctors ask

    def finds_documents(self, person: Person | None = None, **how: Any) -> Answer:
        """In the whole network."""
        return self._finds("/network/fhir/DocumentReference", person, **how)

    def finds_studies(self, person: Person | None = None, **how: Any) -> Answer:
        return self._finds("/network/fhir/ImagingStudy", person, **how)

    def finds_own_documents(self, person: Person | None = None, **how: Any) -> Answer:
        return self._finds("/fhir/DocumentReference", person, **how)

    def finds_own_studies(self, person: Person | None = None, **how: Any) -> Answer:
        return self._finds("/fhir/ImagingStudy", person, **how)

    def _finds(
        self,
        path: str,
        person: Person | None,
        *,
        role: Role = Role.DOCTOR,
        purpose: PurposeOfUse = PurposeOfUse.TREAT,
        reason: str = "",
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Answer:
        form = {**(person.question if person else {}), **{k.replace("__", "."): v for k, v in more.items()}}
        sent = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        body = urlencode({k: v for k, v in form.items() if v is not None}, doseq=True).encode()
        reply = self.sends(
            "POST", f"{path}/_search", body=body, headers=sent, who=self.requester(role, purpose, reason)
        )
        return Answer(reply.status, reply.headers, reply.body)

    def asked(self, method: str, target: str, resource: Mapping[str, Any] | None = None, **headers: str) -> Answer:
        """One request of the hospital's own system to its node. Every FHIR answer is judged before a test sees it."""
        body = json.dumps(resource).encode() if resource is not None else b""
        kind = {"Content-Type": "application/fhir+json"} if body else {}
        reply = self.sends(method, target, body=body, headers={**kind, **headers})
        answer = Answer(reply.status, reply.headers, reply.body)
        if "fhir+json" in answer.headers.get("content-type", "") and answer.body:
            refuse_faulty(answer.bundle)
        return answer

    def fetches(self, thing: DocumentEntry | Study | str, **how: Any) -> Fetched:
        """Opens it to the end, as a viewer would."""
        reply = self.opens(thing, **how)
        kind = reply.headers.get("content-type", "")
        body, broken = b"", None
        try:
            for piece in reply.flowing:
                body += piece
        except Exception as error:  # noqa: BLE001 - whatever broke it, a viewer sees a connection that broke
            broken = error
        announced = reply.headers.get("content-length")
        if broken is None and announced is not None and len(body) != int(announced):
            broken = EOFError("shorter than announced")
        return Fetched(reply.status, body, broken, kind)

    def opens(
        self, thing: DocumentEntry | Study | str, *, range_: str = "", base: str = "/network", **who: Any
    ) -> Reply:
        """The answer's head is there, its body flows when it is read."""
        headers = {"Accept": DICOM if isinstance(thing, Study) else "*/*"}
        if range_:
            headers["Range"] = range_
        return self.sends("GET", self._address(thing, base), headers=headers, who=self.requester(**who))

    def _address(self, thing: DocumentEntry | Study | str, base: str) -> str:
        if isinstance(thing, Study):
            return f"{base}/dicomweb/studies/{thing.study_instance_uid}"
        if isinstance(thing, str):
            return f"{base}/fhir/Binary/{thing}"
        elsewhere = self.lab.facility_of(thing.home) if thing.home and thing.home != self.home else ""
        return f"{base}/fhir/Binary/{elsewhere + '.' if elsewhere else ''}{thing.id}"

    def sends(
        self,
        method: str,
        target: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        who: Requester | None = None,
        scope: str = ALL,
    ) -> Reply:
        """Through the house door, with an access token of this node."""
        token = issue_access_token(
            self.house.keys,
            who or replace(self.requester(Role.SYSTEM), subject="his"),
            scope=scope,
            allowed=granted(scope),
            base=self.house.settings.house.url,
            now=self.house.now(),
        )
        told = {"Authorization": f"Bearer {token.token}", "Accept": "application/fhir+json", **(headers or {})}
        return ask(self.application, "house", method, target, headers=told, body=body)

    # -- as a peer

    def asks(
        self,
        holder: Hospital,
        form: Person | Mapping[str, Any],
        *,
        resource: str = "DocumentReference",
        receipts: Sequence[tuple[ConsentReceipt, str]] = (),
        who: Requester | None = None,
        **more: str,
    ) -> Answer:
        """One question to one peer, as bytes: what the holder says when nothing of ours stands between."""
        pairs = {**(form.question if isinstance(form, Person) else form), **more}
        answer = self.calls(
            holder,
            "POST",
            f"/fhir/{resource}/_search",
            body=urlencode(pairs, doseq=True).encode(),
            content_type="application/x-www-form-urlencoded",
            receipts=receipts,
            who=who,
        )
        return Answer(answer.status, answer.headers, answer.body)

    def calls(
        self,
        holder: Hospital,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        content_type: str = "application/fhir+json",
        receipts: Sequence[tuple[ConsentReceipt, str]] = (),
        who: Requester | None = None,
    ) -> PeerResponse:
        return call_peer(
            self.house,
            Asking(who or self.requester(), receipts),
            holder.peer,
            method=method,
            path=path,
            body=body,
            content_type=content_type,
        )

    def gets(self, holder: Hospital, path: str, *, who: Requester | None = None, accept: str = "") -> Answer:
        """One resource of a peer, by its address there."""
        kind = accept or (DICOM if path.startswith("/dicomweb") and not path.endswith("/metadata") else JSON)
        asking = Asking(who or self.requester())
        with stream_from_peer(self.house, asking, holder.peer, path=path, accept=kind) as stream:
            return Answer(stream.status, stream.headers, b"".join(stream.chunks()))

    # -- its record

    @property
    def record(self) -> list[Disclosure]:
        """The record of disclosures, oldest first."""
        with self.house.storage.read() as unit:
            return list(reversed(unit.disclosures.search(limit=10_000)))

    def rows(self, **fitting: Any) -> list[Disclosure]:
        return [row for row in self.record if all(getattr(row, name) == value for name, value in fitting.items())]

    def seals(self) -> int:
        return audit.seal(self.house)

    def verifies(self) -> Verification:
        return audit.verify(self.house)

    def works(self) -> None:
        """One round of what the node does by itself."""
        jobs.carry_withdrawals(self.house)
        jobs.carry_identity_changes(self.house)
        jobs.announce_referrals(self.house)
        telling.number_what_happened(self.house)
        with ThreadPoolExecutor(2) as pool:
            for told in telling.tell_subscribers(self.house, pool):
                told.result()
        self.seals()

    def brings_ahead(self) -> None:
        """What the node fetches for patients who are on the way, until nothing of it is due."""
        while bring_ahead(self.house):
            pass
        jobs.look_after_copies(self.house)

    def holds(self) -> list[DocumentEntry]:
        """Everything in its index, whoever may see it, but for papers of its own."""
        with self.house.storage.read() as unit:
            return list(unit.documents.find(DocumentSearch(limit=10_000)))

    def goes_down(self) -> None:
        """Nobody answers at its peer door."""
        self.door.stop()

    def comes_up(self) -> None:
        """At another port, as the directory says from then on."""
        self.door = PeerDoor()
        self.lab.moves_to(self, self.door.port)
        self.door.serve(self.application, self.house.settings.tls)

    def opens_anew(self) -> None:
        """The doors again, for a house that a test has changed."""
        self.application = self.door.application = application(self.house)

    def closes(self) -> None:
        self.door.stop()
        self.house.transport.close()
        self.door.falls_quiet()
        self.house.storage.close()


class Lab:
    """Hospitals of one network. Only what `hospitals` names takes part.

    faulty  what a node said in FHIR that is not valid, at either door
    """

    def __init__(self, folder: Path, authority: Credential, new_database: Callable[[Path], str]) -> None:
        self.folder, self.authority, self.clock = folder, authority, Clock()
        self._new_database = new_database
        self._all: dict[str, Hospital] = {}
        self._listed: dict[HomeCommunityId, Peer] = {}
        self.faulty: list[str] = []

    def hospitals(self, *names: str, **limits: Any) -> tuple[Hospital, ...]:
        """Make them, let them know each other, and open their peer doors."""
        for name in names:
            self._all[name] = self._made(name, limits)
        self._tell_all()
        for name in names:
            one = self._all[name]
            one.door.serve(one.application, one.house.settings.tls)
        return tuple(self._all[name] for name in names)

    def hospital(self, name: str, **limits: Any) -> Hospital:
        return self.hospitals(name, **limits)[0]

    def home_of(self, name: str) -> HomeCommunityId:
        return derived_community(FACILITIES.get(name, name))

    def facility_of(self, home: HomeCommunityId) -> str:
        return next(str(p.community.facility) for p in self._listed.values() if p.home == home)

    def lists(self, peer: Peer) -> None:
        """The directory of everybody has this hospital, whatever it is."""
        self._listed[peer.home] = peer
        self._tell_all()

    def moves_to(self, hospital: Hospital, port: int) -> None:
        self.lists(replace(hospital.peer, peer_url=f"https://127.0.0.1:{port}"))

    def close(self) -> None:
        for one in self._all.values():
            one.closes()

    def _made(self, name: str, limits: Mapping[str, Any]) -> Hospital:
        door, home = PeerDoor(), self.folder / name
        settings = self._home(home, name, door.port)
        settings = replace(settings, limits=Limits(**{"answer_budget": PATIENCE, **limits}))
        house = replace(build(settings), now=self.clock)
        self._listed[house.home] = own_entry(settings, house.keys)
        return Hospital(self, name, house, door)

    def _home(self, home: Path, name: str, port: int) -> Settings:
        home.mkdir(parents=True)
        facility = FACILITIES.get(name, name)
        community = derived_community(facility)
        node = NewNode(
            name=f"Bệnh viện {name}",
            facility_code=FacilityCode(facility),
            home_community_id=community,
            patient_id_system=f"{community}.1",
            public_host="127.0.0.1",
            peer_port=port,
            database_url=self._new_database(home),
            data_protection_officer="bv.lan",
            lab=True,
        )
        return create(home, node, authority=self.authority)

    def _tell_all(self) -> None:
        for one in self._all.values():
            write_by_hand(one.house.settings.network, list(self._listed.values()))


@pytest.fixture(scope="session")
def lab_authority() -> Credential:
    return certificates.make_authority("Federation of tests", now=datetime.now(UTC))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """Makes the database of a new home; the test runs once on each kind."""
    if request.param == "postgresql":
        cluster = request.getfixturevalue("postgres")
        return lambda home: str(cluster.migrated())
    template: Path = request.getfixturevalue("sqlite_template")

    def copied(home: Path) -> str:
        shutil.copy(template, home / "node.db")
        return f"sqlite:///{home / 'node.db'}"

    return copied


@pytest.fixture
def lab(tmp_path: Path, lab_authority: Credential, database: Callable[[Path], str]) -> Iterator[Lab]:
    made = Lab(tmp_path, lab_authority, database)
    with contextlib.closing(made):
        yield made
    if made.faulty:  # whatever a node says in FHIR is valid, and keeps the profiles that it claims
        pytest.fail("\n".join(made.faulty))


def until(holds: Callable[[], bool], *, seconds: float = 20.0) -> bool:
    """Waits for what another thread or process does."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
