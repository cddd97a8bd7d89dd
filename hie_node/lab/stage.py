"""The stage of a story: three hospitals, steps that check what must hold, and what a hospital's systems do."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import requests

from hie_node.lab.his import HospitalSystem
from hie_node.lab.hospitals import Province
from hie_node.lab.province import plan
from hie_node.lab.seeding import SEED
from registry.identifiers import INSURANCE_NUMBER, NATIONAL_ID

DOCTOR = "BS. Trần Văn Minh"
Act = Callable[[dict[str, Any]], None]


class StepFailed(Exception):
    """Something that must hold did not."""


@dataclass(slots=True)
class Step:
    """One step as it was played."""

    name: str
    ok: bool = False
    seconds: float = 0.0
    figures: dict[str, Any] = field(default_factory=dict)


class Stage:
    """A lab of its own, and the steps that were played in it."""

    def __init__(self, home: Path, out: TextIO, *, people: int, slices: int) -> None:
        self._home, self._out = home, out
        self._people, self._slices = people, slices
        self._province: Province = plan(SEED, people)
        self._lab: dict[str, Any] = {}
        self._steps: list[Step] = []

    def summary(self) -> list[dict[str, Any]]:
        """The steps as one JSON document."""
        return [{"name": s.name, "ok": s.ok, "seconds": round(s.seconds, 3), "figures": s.figures} for s in self._steps]

    def _play_one(self, name: str, title: str, act: Act) -> bool:
        step = Step(name)
        self._steps.append(step)
        self._say(f"{len(self._steps):2}. {title}")
        started = time.monotonic()
        try:
            act(step.figures)
            step.ok = True
        except (StepFailed, requests.RequestException) as failure:
            self._say(f"    FAILED: {failure}")
        step.seconds = time.monotonic() - started
        if step.ok:
            self._say(f"    {step.seconds:.2f} s")
        return step.ok

    def _say(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()

    def _tell(self, text: str) -> None:
        self._say(f"    {text}")

    def _entry(self, slug: str) -> dict[str, Any]:
        return next(dict(h) for h in self._lab["hospitals"] if h["name"] == slug)

    def _system(self, slug: str, doctor: str | None = None, *, emergency: str = "") -> HospitalSystem:
        return HospitalSystem(self._entry(slug), doctor=doctor, emergency=emergency)

    def _question(self) -> dict[str, str]:
        person = self._province.story.person
        pairs = {"patient.name": person.full_name, "patient.birthdate": person.birth_date.isoformat()}
        if person.national_id:
            pairs["patient.identifier"] = f"{NATIONAL_ID}|{person.national_id}"
        elif person.insurance_number:
            pairs["patient.identifier"] = f"{INSURANCE_NUMBER}|{person.insurance_number}"
        return pairs | {"patient.gender": person.gender, "status": "current"}

    def _ask(self, figures: dict[str, Any], *, emergency: str = "") -> dict[str, Any]:
        """One question of the doctor's to the network, with a line for each hospital."""
        his = self._system("bach-mai", DOCTOR, emergency=emergency)
        started = time.monotonic()
        bundle = his.search("/network/fhir/DocumentReference", self._question())
        figures["answer_seconds"] = round(time.monotonic() - started, 3)
        lines = communities(bundle)
        for line in lines:
            self._tell(line)
        figures["communities"] = len(lines)
        figures["documents"] = len(resources(bundle, "DocumentReference"))
        return bundle

    def _cli(self, slug: str, *command: str) -> Any:
        """The command line of a node, as its administrator would use it."""
        run = subprocess.run(
            [sys.executable, "-m", "hie_node", "--home", str(self._home / slug), *command, "--json"],
            capture_output=True,
            check=False,
            timeout=120,
        )
        must(run.returncode == 0, f"hie {' '.join(command[:2])}: {run.stderr.decode()[-300:]}")
        return json.loads(run.stdout)


def must(holds: bool, otherwise: str) -> None:
    """Raise StepFailed with the words of `otherwise` where it does not hold."""
    if not holds:
        raise StepFailed(otherwise)


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Those of one type in a bundle."""
    return [e["resource"] for e in bundle.get("entry", []) if e["resource"]["resourceType"] == kind]


def communities(bundle: dict[str, Any]) -> list[str]:
    """One line for each hospital that was asked, as the answer has it."""
    lines = []
    for outcome in resources(bundle, "OperationOutcome"):
        for issue in outcome["issue"]:
            lines.append(issue.get("details", {}).get("text") or issue.get("diagnostics", ""))
    return lines


def kinds(bundle: dict[str, Any]) -> list[str]:
    """What became of each community, as a code."""
    issues = [issue for outcome in resources(bundle, "OperationOutcome") for issue in outcome["issue"]]
    return [coding["code"] for issue in issues for coding in issue["details"].get("coding", [])]


def from_elsewhere(bundle: dict[str, Any], lab: dict[str, Any]) -> list[dict[str, Any]]:
    """Documents of other hospitals: their ids begin with a facility code."""
    codes = {h["facility_code"] for h in lab["hospitals"]}
    return [r for r in resources(bundle, "DocumentReference") if r["id"].partition(".")[0] in codes]
