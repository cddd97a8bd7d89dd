"""The story: one CT from Bắc Ninh, seen at Bạch Mai instead of repeated.

Every step does what a hospital's systems and people would do, through the doors, and checks what must hold.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import requests

from adapters.dicom.client import parts
from hie_node.lab import nodes
from hie_node.lab.documents import report_pdf
from hie_node.lab.for_people import (
    SECOND_NUMBER,
    registered_again,
    reported_under_the_wrong_number,
    scanned_under_the_wrong_number,
)
from hie_node.lab.his import HospitalSystem
from hie_node.lab.province import write
from hie_node.lab.seeding import only_story, seed
from hie_node.lab.stage import DOCTOR, Act, Stage, StepFailed, from_elsewhere, kinds, must, resources
from hie_node.lab.studies import write_study
from hie_node.settings import load
from registry.identifiers import mask

DICOM_PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
WAIT = 60.0
OFFICER = "bv.lan"
REGISTRAR = "tn.tuan"
FIRST_STEPS = {
    "doctor": "find her, ask the others, order a CT of the head",
    "nurse": "find her",
    "registrar": "decide what waits",
    "consent-desk": "record her request again, then the doctor sees more",
    "administrator": "see whether all is well",
    "data-protection-officer": "see who looked at her record",
}
"""What somebody who is new does first with each account."""
STOPS_WITHIN = 5.0
"""Seconds in which a transfer notices a withdrawal: the next look of either hospital, and one for the way."""


class Demonstration(Stage):
    """Plays the story once, in a lab of its own."""

    def __init__(self, home: Path, out: TextIO, *, people: int, slices: int) -> None:
        super().__init__(home, out, people=people, slices=slices)
        self._consent = ""
        self._found: dict[str, Any] = {}
        self._sums: set[str] = set()

    def play(self) -> bool:
        """Every step in order; the first that fails ends it."""
        story: list[tuple[str, str, Act]] = [
            ("start", "Three hospitals start", self._start),
            ("seed", "A year of ordinary work is published", self._seed),
            ("publish", "Bắc Ninh publishes a CT and its report from files that its systems emit", self._publish),
            ("refuse", "Bạch Mai asks without the patient's request", self._refuse),
            ("request", "The patient signs a written request at Bạch Mai", self._request),
            ("find", "The doctor asks again", self._find),
            ("open report", "The doctor opens the report", self._open_report),
            ("open images", "The doctor opens the images", self._open_images),
            ("account", "Both hospitals have it on record", self._account),
            ("withdraw", "The patient takes the request back while images flow", self._withdraw),
            ("emergency", "The patient comes back unconscious: emergency access", self._emergency),
            ("review", "Both data protection officers review it", self._review),
            ("silence", "Thái Nguyên is switched off", self._silence),
            ("reconcile", "Both hospitals' records of the same disclosures are compared", self._reconcile),
            ("verify", "The records of disclosures are intact", self._verify),
            ("leave", "A morning at Bạch Mai leaves what only a person may decide", self._leave),
        ]
        self._say("One CT from Bắc Ninh, seen at Bạch Mai instead of repeated.\n")
        return all(self._play_one(name, title, act) for name, title, act in story)

    def stay(self) -> None:
        """Say where everything is and how to use it."""
        here = f"./run hie --home {self._home / 'bach-mai'}"
        numbers = self._province.story.numbers
        self._say("\nAll three hospitals stay up until Ctrl-C.")
        for entry in self._lab["hospitals"]:
            self._say(f"  {entry['title']}: pages {entry['house_url']}/, FHIR {entry['house_url']}/fhir")
        self._say("Sign in at Bệnh viện Bạch Mai; the browser asks once about the lab's own certificate:")
        for user in self._entry("bach-mai")["users"]:
            self._say(f"  {user['role']:<24}{user['username']:<10}{user['password']:<14}{FIRST_STEPS[user['role']]}")
        person = self._province.story.person
        born = f"{person.birth_date:%d/%m/%Y}"
        self._say(f"  The patient of the story: {person.full_name}, {born}, number {numbers['bach-mai']}")
        self._say(f"  keys, addresses and the accounts of the others: {self._home / 'lab.json'}")
        self._say("At the command line:")
        self._say(f"  {here} find --number {numbers['bach-mai']}")
        self._say(f"  {here} audit search --number {numbers['bach-mai']}")
        self._say(f"  {here} check")

    # -- the steps ------------------------------------------------------------------------------------------------

    def _start(self, figures: dict[str, Any]) -> None:
        self._lab = nodes.up(self._home, nodes.DEFAULT)
        figures["hospitals"] = len(self._lab["hospitals"])
        for entry in self._lab["hospitals"]:
            self._tell(f"{entry['title']} ({entry['facility_code']}): {entry['house_url']}, process {entry['pid']}")

    def _seed(self, figures: dict[str, Any]) -> None:
        made = seed(self._lab, people=self._people, hold_story_back=True, tell=self._tell)
        must(not any(s.refused for s in made), f"refused: {[r for s in made for r in s.refused][:3]}")
        figures |= {
            "visits": sum(s.visits for s in made),
            "documents": sum(s.documents for s in made),
            "studies": sum(s.studies for s in made),
            "instances": sum(s.instances for s in made),
        }

    def _publish(self, figures: dict[str, Any]) -> None:
        """Into the drop folder, as a hospital's systems would leave it."""
        folder = self._home / "emitted"
        written = write(only_story(self._province), folder, "bac-ninh", story_slices=self._slices)
        images = [p for p in written.paths if p.suffix == ".dcm"]
        self._sums = {hashlib.sha256(p.read_bytes()).hexdigest() for p in images}
        size = sum(p.stat().st_size for p in images)
        drop = Path(self._entry("bac-ninh")["drop_folder"])
        started = time.monotonic()
        for kind in ("dicom", "insurance", "reports"):
            for path in sorted((folder / kind).iterdir()):
                path.rename(drop / path.name)
        his = self._system("bac-ninh")
        study, report = self._wait_for_both(his)
        seconds = time.monotonic() - started
        shutil.rmtree(folder)
        figures |= {"images": len(images), "bytes": size, "visible_after_seconds": round(seconds, 2)}
        self._tell(f"{len(images)} images, {size / 1e6:.0f} MB, and an insurance file, dropped into a folder")
        self._tell(f"all visible {seconds:.1f} s later; the report knows its study: {report}")
        must(study, "the study is not visible")

    def _wait_for_both(self, his: HospitalSystem) -> tuple[bool, str]:
        """Until the whole study and its report are there, and have found each other."""
        story = self._province.story
        patient = {"patient.identifier": f"{his.entry['patient_id_system']}|{story.numbers['bac-ninh']}"}
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            studies = resources(his.search("/fhir/ImagingStudy", patient), "ImagingStudy")
            reports = resources(
                his.search("/fhir/DocumentReference", patient | {"status": "current"}), "DocumentReference"
            )
            whole = [s for s in studies if s.get("numberOfInstances") == len(self._sums)]
            paired = [
                r for r in reports if any("urn:dicom:uid" in str(x) for x in r.get("context", {}).get("related", []))
            ]
            if whole and paired:
                return True, "yes"
            time.sleep(0.25)
        raise StepFailed("the study and its report did not become visible together")

    def _refuse(self, figures: dict[str, Any]) -> None:
        bundle = self._ask(figures)
        must(figures["communities"] == 3, "each hospital must have its line in the answer")
        must(not from_elsewhere(bundle, self._lab), "something was shown without the patient's request")

    def _request(self, figures: dict[str, Any]) -> None:
        his, now = self._system("bach-mai"), datetime.now(UTC)
        person, story = self._province.story.person, self._province.story
        paper = _signed_request(person.full_name)
        consent = {
            "resourceType": "Consent",
            "meta": {"profile": ["https://profiles.ihe.net/ITI/PCF/StructureDefinition/IHE.PCF.consentBasic"]},
            "status": "active",
            "scope": _coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
            "category": [_coded("http://loinc.org", "59284-0")],
            "patient": {"identifier": {"system": his.entry["patient_id_system"], "value": story.numbers["bach-mai"]}},
            "dateTime": _second(now),
            "performer": [{"display": "the patient"}],
            "organization": [_organization(self._entry("bach-mai"))],
            "sourceAttachment": {"contentType": "application/pdf", "data": b64encode(paper).decode()},
            "policy": [{"uri": "https://profiles.ihe.net/ITI/PCF/Policy-basic-normal"}],
            "provision": {
                "type": "permit",
                "period": {
                    "start": now.isoformat(timespec="seconds"),
                    "end": (now + timedelta(days=180)).isoformat(timespec="seconds"),
                },
                "actor": [
                    {
                        "role": _coded("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"),
                        "reference": _organization(self._entry("bach-mai")),
                    }
                ],
                "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
            },
        }
        answer = his.post("/fhir/Consent", consent)
        must(answer.status_code == 201, f"the request was not recorded: {answer.status_code} {answer.text[:300]}")
        self._consent = answer.json()["id"]
        figures["evidence_sha256"] = hashlib.sha256(paper).hexdigest()
        self._tell(f"recorded as Consent/{self._consent}, with the signed paper")

    def _find(self, figures: dict[str, Any]) -> None:
        bundle = self._ask(figures)
        elsewhere = from_elsewhere(bundle, self._lab)
        must(bool(elsewhere), "nothing came from the other hospitals")
        for found in elsewhere:
            self._tell(f"{found.get('context', {}).get('period', {}).get('start', '')[:10]}  {_title(found)}")
        studies = self._system("bach-mai", DOCTOR).search(
            "/network/fhir/ImagingStudy", _without_status(self._question())
        )
        images = [s for s in resources(studies, "ImagingStudy") if "." in s["id"]]
        must(any(s.get("numberOfInstances") == len(self._sums) for s in images), "the CT study is not listed")
        figures["studies"] = len(images)
        self._found = {"reports": elsewhere, "studies": images}

    def _open_report(self, figures: dict[str, Any]) -> None:
        his = self._system("bach-mai", DOCTOR)
        attachments = [r["content"][0]["attachment"] for r in self._found["reports"] if _is_of_ct(r)]
        must(bool(attachments), "the report is not listed")
        attachment = min(attachments, key=lambda one: not one["contentType"].startswith("text/"))
        answer = his.get(attachment["url"].removeprefix(his.url), headers={"Accept": attachment["contentType"]})
        must(answer.status_code == 200, f"the report did not open: {answer.status_code}")
        must(len(answer.content) == attachment["size"], "the report is not whole")
        figures["bytes"] = len(answer.content)
        text = answer.content.decode("utf-8", "replace") if "text" in attachment["contentType"] else "(PDF)"
        for line in [line for line in text.splitlines() if line.strip()][-3:]:
            self._tell(line[:110])

    def _open_images(self, figures: dict[str, Any]) -> None:
        his = self._system("bach-mai", DOCTOR)
        started, first, size, sums = time.monotonic(), 0.0, 0, set()
        with his.stream(f"/network/dicomweb/studies/{self._study_uid()}", DICOM_PARTS) as answer:
            for part in parts(answer.headers["Content-Type"], answer.iter_content(1 << 18)):
                digest = hashlib.sha256()
                for piece in part.chunks:
                    digest.update(piece)
                    size += len(piece)
                first = first or time.monotonic() - started
                sums.add(digest.hexdigest())
        seconds = time.monotonic() - started
        must(sums == self._sums, "the images are not those that Bắc Ninh published")
        figures |= {
            "images": len(sums),
            "bytes": size,
            "seconds": round(seconds, 2),
            "first_image_seconds": round(first, 3),
            "mb_per_second": round(size / seconds / 1e6, 1),
        }
        self._tell(f"{len(sums)} images through both nodes, every one the same bytes as at the scanner")
        megabytes = size / 1e6
        self._tell(f"first after {first:.2f} s, all {megabytes:.0f} MB after {seconds:.2f} s")

    def _study_uid(self) -> str:
        study = next(s for s in self._found["studies"] if s.get("numberOfInstances") == len(self._sums))
        numbers = [one["value"] for one in study["identifier"] if one["system"] == "urn:dicom:uid"]
        return str(numbers[0]).removeprefix("urn:oid:")

    def _account(self, figures: dict[str, Any]) -> None:
        """What Bạch Mai wrote down, Bắc Ninh wrote down too, under the same exchange."""
        story = self._province.story
        here = self._cli("bach-mai", "audit", "search", "--number", story.numbers["bach-mai"])
        there = self._cli("bac-ninh", "audit", "search", "--number", story.numbers["bac-ninh"])
        disclosed = [d for d in there if d["direction"] == "disclosed" and d["other"]]
        received = [d for d in here if d["direction"] == "received"]
        figures |= {"disclosed_at_bac_ninh": len(disclosed), "received_at_bach_mai": len(received)}
        must(bool(disclosed) and bool(received), "a disclosure is not on record")
        self._tell(f"Bắc Ninh: {len(disclosed)} disclosures; Bạch Mai: {len(received)} receptions, by {DOCTOR}")

    def _withdraw(self, figures: dict[str, Any]) -> None:
        desk, doctor = self._system("bach-mai"), self._system("bach-mai", DOCTOR)
        arrived, whole = 0, False
        with doctor.stream(f"/network/dicomweb/studies/{self._study_uid()}", DICOM_PARTS) as images:
            flowing = images.iter_content(1 << 16)
            arrived += len(next(flowing))
            answer = desk.delete(f"/fhir/Consent/{self._consent}")
            must(answer.status_code in (200, 204), f"the withdrawal was not taken: {answer.status_code}")
            started = time.monotonic()
            time.sleep(STOPS_WITHIN)
            try:
                for piece in flowing:
                    arrived += len(piece)
                whole = True
            except requests.RequestException:
                figures["stopped_after_seconds"] = round(time.monotonic() - started, 2)
        figures["bytes_before_the_stop"] = arrived
        must(not whole, "the images flowed on after the withdrawal")
        self._tell(f"the transfer broke off after {arrived / 1e6:.1f} MB")
        bundle = self._ask(figures)
        must(not from_elsewhere(bundle, self._lab), "something was shown after the withdrawal")
        report = self._found["reports"][0]["content"][0]["attachment"]["url"].removeprefix(doctor.url)
        closed = doctor.get(report, headers={"Accept": "*/*"})
        must(closed.status_code == 404, f"the report still opens: {closed.status_code}")

    def _emergency(self, figures: dict[str, Any]) -> None:
        """Wider than the patient's word, never than the law's: declared with a reason, for four hours at most."""
        bundle = self._ask(figures, emergency="unconscious: brought in after a fall")
        must(bool(from_elsewhere(bundle, self._lab)), "nothing was shown in a declared emergency")
        self._tell("declared by the doctor as: unconscious; each hospital tells its data protection officer")

    def _review(self, figures: dict[str, Any]) -> None:
        for slug in ("bac-ninh", "bach-mai"):
            waiting = [one for one in self._cli(slug, "consent", "emergencies") if one["finding"] is None]
            must(bool(waiting), f"{slug}: the emergency does not wait for a review")
            for one in waiting:
                decide = ("--finding", "justified", "--text", "triage sheet seen", "--as", OFFICER)
                reviewed = self._cli(slug, "consent", "review", one["id"], *decide)
                must(reviewed["reviewed_by"] == OFFICER, f"{slug}: the review was not kept")
            figures[slug] = len(waiting)
            self._tell(f"{self._entry(slug)['title']}: {len(waiting)} reviewed, due {waiting[0]['due'][:10]}")

    def _reconcile(self, figures: dict[str, Any]) -> None:
        code = self._entry("bac-ninh")["facility_code"]
        result = self._cli("bach-mai", "audit", "reconcile", code)
        must(result["alike"], f"the records differ: {result['differences'][:3]}")
        figures |= {"here": result["here"], "there": result["there"]}
        self._tell(f"{result['here']} exchanges on record at Bạch Mai, {result['there']} at Bắc Ninh, alike")

    def _silence(self, figures: dict[str, Any]) -> None:
        settings = load(self._home / "thai-nguyen")
        nodes.stop(settings)
        try:
            bundle = self._ask(figures)
            must("silent" in kinds(bundle), "the answer does not say who was silent")
        finally:
            nodes.start(settings)
        self._tell("and started again")

    def _verify(self, figures: dict[str, Any]) -> None:
        rows = 0
        for entry in self._lab["hospitals"]:
            result = self._cli(entry["name"], "audit", "verify")
            must(result["intact"], f"{entry['title']}: {result['findings']}")
            rows += result["rows"]
        figures["rows"] = rows
        self._tell(f"{rows} rows under signed seals, none changed, removed or moved")

    def _leave(self, figures: dict[str, Any]) -> None:
        """For whoever tries the registrar's pages: a look-alike, images and a report under the wrong number."""
        his, story, entry = self._system("bach-mai"), self._province.story, self._entry("bach-mai")
        number, system = story.numbers["bach-mai"], entry["patient_id_system"]
        again = registered_again(story.person, system)
        answer = his.put("/fhir/Patient", again, where={"identifier": f"{system}|{SECOND_NUMBER}"})
        must(answer.status_code in (200, 201), f"not registered: {answer.status_code} {answer.text[:300]}")
        folder, drop = self._home / "morning", Path(entry["drop_folder"])
        spec = scanned_under_the_wrong_number(number, entry["facility_code"], story.ct.performed)
        for path in write_study(spec, folder):
            path.rename(drop / path.name)
        folder.rmdir()
        for name, content in reported_under_the_wrong_number(number, story.ct.performed).items():
            (drop / name).write_bytes(content)
        self._wait_for_the_morning(drop)
        figures["doubts"] = len(self._cli("bach-mai", "mpi", "review")["items"])
        must(figures["doubts"] > 0, "the look-alike does not wait")
        self._tell("somebody who may be registered twice, images and a report under the wrong patient number")

    def _wait_for_the_morning(self, drop: Path) -> None:
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            aside = self._cli("bach-mai", "quarantine", "list", "--as", REGISTRAR)
            if aside and (drop / "refused" / "sieu-am.pdf").exists():
                return
            time.sleep(1)
        raise StepFailed("images and report under the wrong number were not set aside")


def _is_of_ct(document: dict[str, Any]) -> bool:
    """A head CT report, by its LOINC type (unspecified, or without contrast)."""
    return any(coding.get("code") in ("24725-4", "30799-1") for coding in document["type"]["coding"])


def _title(document: dict[str, Any]) -> str:
    return str(document["content"][0]["attachment"].get("title") or document.get("type", {}).get("text", ""))


def _without_status(pairs: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in pairs.items() if name != "status"}


def _second(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def _organization(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "identifier": {"system": "urn:ietf:rfc:3986", "value": entry["home_community_id"]},
        "display": entry["title"],
    }


def _signed_request(name: str) -> bytes:
    """The scan of a signed paper, as far as a demonstration needs one."""
    return report_pdf(f"VAN BAN YEU CAU CUNG CAP DU LIEU\nNguoi benh: {mask(name)}\nDa ky.")
