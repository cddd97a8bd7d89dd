"""What an administrator or a new peer runs to see that everything is in order."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from adapters.peers.errors import PeerError
from adapters.trust import certificates
from consent.requesters import Requester, Role
from hie_node.backups import last_made
from hie_node.bootstrap import build
from hie_node.flows.audit import verify
from hie_node.flows.heads import ask_keepers
from hie_node.flows.peer_call import Asking, call_peer
from hie_node.house import House
from hie_node.operations import dicom_listens, hl7_listens
from hie_node.settings import Settings
from hie_node.unsure_files import how_many_files

State = Literal["ok", "warning", "failed"]
WARN_DAYS = 30
LEAST_FREE = 5 << 30
BACKUP_DAYS = 7
"""Age of the last backup from which it is a warning: what came since has to be published again after a loss."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what to do where it is not in order.

    found  what `text` says, as a key of the pages' wordings with its facts; empty where only the text says it
    """

    name: str
    state: State
    text: str
    found: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)


def run_checks(settings: Settings) -> list[Check]:
    """All checks; one that fails does not keep the others from running."""
    try:
        house = build(settings)
    except Exception as error:
        return [Check("start", "failed", str(error))]
    return look_at(house, [*NEAR, record, peers])


def look_at(house: House, checks: Sequence[Callable[[House], Iterator[Check]]]) -> list[Check]:
    """These checks; one that fails does not keep the others from running."""
    found: list[Check] = []
    for check in checks:
        try:
            found += check(house)
        except Exception as error:
            found.append(Check(check.__name__.strip("_"), "failed", str(error)))
    return found


def _settings(house: House) -> Iterator[Check]:
    s = house.settings
    yield Check(
        "settings",
        "ok",
        f"{s.name}, facility {s.facility_code}, community {s.home_community_id}",
        "who",
        {"name": s.name, "code": s.facility_code},
    )
    if s.lab:
        yield Check("lab", "warning", "this is a lab node: invented people only", "lab")
    lists = house.closed_lists.version
    yield Check("closed lists", "ok", f"version {lists}", "closed", {"version": lists})
    if not s.lab and not s.sign_in.demands_second_factor(lab=False):
        yield Check("second factor", "warning", "off: second_factor is not-demanded in node.toml", "no-second-factor")
    if not s.data_protection_officer:
        yield Check(
            "emergency access", "warning", "off: no data_protection_officer is named in node.toml", "no-officer"
        )


def _hl7(house: House) -> Iterator[Check]:
    settings, door = house.settings, house.settings.mllp
    if not settings.mllp_port:
        yield Check("hl7 v2", "ok", "off: mllp_port is 0", "port-off")
        return
    tls = _tls(door.client_authority, door.tls)
    yield _door(
        "hl7 v2",
        f"MLLP at {door.host}:{settings.mllp_port}, {tls}",
        f"{len(door.senders)} senders listed" if door.senders else "any sender that reaches it",
        answers=hl7_listens(settings),
        found="mllp" if door.senders else "mllp-any",
        facts={"at": f"{door.host}:{settings.mllp_port}", "tls": tls, "n": len(door.senders)},
    )


def _dicom(house: House) -> Iterator[Check]:
    settings, port = house.settings, house.settings.dicom
    if not settings.dicom_port:
        yield Check("dicom", "ok", "off: dicom_port is 0", "port-off")
        return
    tls = _tls(port.client_authority, port.tls)
    yield _door(
        "dicom",
        f"{settings.dicom_aet} at {port.host}:{settings.dicom_port}, {tls}",
        f"{len(port.systems)} systems listed" if port.systems else "any system that reaches it may store",
        answers=dicom_listens(settings),
        found="dicom" if port.systems else "dicom-any",
        facts={
            "at": f"{settings.dicom_aet} {port.host}:{settings.dicom_port}",
            "tls": tls,
            "n": len(port.systems),
        },
    )


def _tls(client_authority: object, tls: object) -> str:
    """The same word in every language: both sides prove who they are, one does, neither."""
    return "mTLS" if client_authority else "TLS" if tls else "TCP"


def _door(name: str, at: str, who: str, *, answers: bool, found: str, facts: Mapping[str, object]) -> Check:
    if answers:
        return Check(name, "ok", f"{at}, {who}", found, facts)
    return Check(name, "warning", f"{at}, {who}; nobody answers there now", "port-silent", facts)


def _certificates(house: House) -> Iterator[Check]:
    for name in ("node", "house"):
        left = certificates.days_left((house.settings.tls / f"{name}.crt").read_bytes(), now=house.now())
        state: State = "failed" if left < 0 else "warning" if left < WARN_DAYS else "ok"
        text = f"{left} days left" + ("; renew it now" if left < WARN_DAYS else "")
        found = "certificate" if left >= WARN_DAYS else "certificate-ends"
        yield Check(f"certificate {name}.crt", state, text, found, {"n": left})
    for text in house.directory.warnings():
        yield Check("directory", "warning", text)


def _disk(house: House) -> Iterator[Check]:
    free = shutil.disk_usage(house.settings.contents).free
    state: State = "ok" if free > LEAST_FREE else "warning"
    yield Check("disk", state, f"{free >> 30} GiB free for contents", "disk", {"n": free >> 30})


def _backup(house: House) -> Iterator[Check]:
    made = last_made(house.settings)
    if made is not None:
        days = (house.now() - made).days
        state: State = "ok" if days < BACKUP_DAYS else "warning"
        yield Check("backup", state, f"the last was made {days} days ago", "backup", {"n": days})
    elif not house.settings.lab:
        yield Check("backup", "warning", "none was made of this node yet: hie backup", "no-backup")


def _database(house: House) -> Iterator[Check]:
    with house.storage.read() as unit:
        waiting = unit.jobs.waiting()
        reviews = len(unit.patients.reviews())
        aside = len(unit.quarantine.waiting())
        pairs = unit.pairs.how_many_wait()
    kind = house.settings.database_url.split(":")[0]
    yield Check("database", "ok", f"{kind}, {waiting} jobs waiting", "database", {"kind": kind, "n": waiting})
    if reviews:
        yield Check(
            "review queue",
            "warning",
            f"{reviews} doubts wait for the registrar: hie mpi review",
            "reviews",
            {"n": reviews},
        )
    if aside:
        text = f"images of {aside} studies wait for the registrar, their patient is in doubt: hie quarantine list"
        yield Check("quarantine", "warning", text, "quarantine", {"n": aside})
    if pairs:
        text = f"{pairs} pairs of a report and images wait for the registrar: hie pairs list PATIENT"
        yield Check("pairs", "warning", text, "pairs", {"n": pairs})
    if files := how_many_files(house):
        text = f"{files} papers of the drop folder wait for the registrar, nobody could place them"
        yield Check("files", "warning", text, "files", {"n": files})


def _alarms(house: House) -> Iterator[Check]:
    """What somebody has to look at; whom it is about is said by `hie audit alarms` alone."""
    with house.storage.read() as unit:
        found = unit.alarms.open()
    for alarm in found[:20]:
        yield Check(f"alarm {alarm.kind}", "warning", f"{alarm.found}; hie audit alarms", "alarm")


def record(house: House) -> Iterator[Check]:
    result = verify(house, ask_keepers(house))
    if result.findings:
        yield Check("record of disclosures", "failed", "; ".join(finding.text for finding in result.findings[:3]))
        return
    yield Check(
        "record of disclosures", "ok", f"{result.rows} rows sealed in {result.seals} seals, {result.unsealed} not yet"
    )


def peers(house: House) -> Iterator[Check]:
    others = [peer for peer in house.directory.current().active if peer.home != house.home]
    if not others:
        yield Check("peers", "warning", "none are known; add one with: hie peers add", "no-peers")
    asker = Requester("check", Role.SYSTEM, house.home)
    for peer in others:
        name = f"peer {peer.community.facility} {peer.community.name}"
        started = time.monotonic()
        try:
            answer = call_peer(house, Asking(asker), peer, method="GET", path="/fhir/metadata")
        except PeerError as failure:
            hint = UNTRUSTED if failure.reason == "certificate" else ""
            yield Check(name, "warning", str(failure) + hint, "silent", {"reason": failure.reason})
            continue
        seconds = time.monotonic() - started
        state: State = "ok" if answer.status == 200 else "failed"
        took = {"status": answer.status, "ms": f"{seconds * 1000:.0f}"}
        yield Check(name, state, f"answered {answer.status} in {took['ms']} ms", "answered", took)


UNTRUSTED = ": it ended, names another address, or its authority is not in tls/federation-ca.crt"

NEAR = (_settings, _hl7, _dicom, _certificates, _disk, _backup, _database, _alarms)
"""What is looked at in milliseconds and without asking anybody."""
