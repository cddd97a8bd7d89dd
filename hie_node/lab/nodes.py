"""The lab: several hospitals as real processes on this machine, with real certificates, databases and free ports.

For training, demonstrations and end-to-end tests. `lab.json` says where everything is.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from adapters.store.engine import make_engine
from adapters.store.people import Client, User
from adapters.store.unit import Storage
from adapters.trust import certificates
from adapters.trust.certificates import Credential
from adapters.trust.directory import write_by_hand
from adapters.trust.files import write_whole
from adapters.trust.jwk import public_jwk
from adapters.trust.keys import SigningKeys
from consent.requesters import PurposeOfUse, Role
from hie_node.init import NewNode, create, derived_community, own_entry
from hie_node.passwords import hasher
from hie_node.settings import Settings, load
from registry.identifiers import FacilityCode

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")
READY_WITHIN = 60.0
PORTS = range(20_000, 32_000)
STOP_WITHIN = 15.0
AS_SERVED = {"PYTHONNODEBUGRANGES": "1"}
"""As in `deploy/hie.service`: the log names lines, and the columns that Python would keep for them are a megabyte."""
ALL_SCOPES = ("system/*.cruds",)
STAFF = (
    ("bs.minh", Role.DOCTOR, "BS. Trần Văn Minh"),
    ("dd.hoa", Role.NURSE, "ĐD. Lê Thị Hoa"),
    ("tn.tuan", Role.REGISTRAR, "Phạm Anh Tuấn"),
    ("dt.nga", Role.CONSENT_DESK, "Vũ Thị Nga"),
    ("qt.son", Role.ADMINISTRATOR, "Đỗ Hồng Sơn"),
    ("bv.lan", Role.DATA_PROTECTION_OFFICER, "Bùi Ngọc Lan"),
)


@dataclass(frozen=True, slots=True)
class LabHospital:
    """A hospital that the lab knows how to make."""

    slug: str
    name: str
    facility_code: str


KNOWN = {
    h.slug: h
    for h in (
        LabHospital("bac-ninh", "Bệnh viện đa khoa Bắc Ninh", "27001"),
        LabHospital("thai-nguyen", "Bệnh viện Trung ương Thái Nguyên", "19001"),
        LabHospital("bach-mai", "Bệnh viện Bạch Mai", "01929"),
    )
}
DEFAULT = ("bac-ninh", "thai-nguyen", "bach-mai")


class LabFailed(Exception):
    """The lab, or a hospital of it, is not there or did not come up; the text says what to do."""


def hospital(slug: str) -> LabHospital:
    """One of the three, or an invented one for any other name."""
    if not SLUG.fullmatch(slug):
        raise LabFailed(f"{slug!r} cannot name a hospital: small letters, digits and hyphens, at most 30")
    if slug in KNOWN:
        return KNOWN[slug]
    number = int.from_bytes(slug.encode()[-4:], "big") % 900 + 100
    return LabHospital(slug, f"Bệnh viện {slug}", f"99{number:03d}")


def up(home: Path, slugs: Sequence[str]) -> dict[str, Any]:
    """Make what is missing, start what is down, wait until all are ready, write `lab.json`."""
    for slug in slugs:
        hospital(slug)
    if not slugs and not _nodes(home):
        raise LabFailed("name at least one hospital: --hospitals bac-ninh,bach-mai")
    home.mkdir(parents=True, exist_ok=True)
    home = home.resolve()
    nodes = _make(home, slugs)
    for settings in nodes.values():
        if _pid(settings) is None:
            _start(settings)
    _wait_until_ready(nodes.values())
    return _describe(home, nodes)


def down(home: Path) -> int:
    """Stop every hospital of this lab; returns how many were running."""
    running = [pid for settings in _existing(home).values() if (pid := _pid(settings)) is not None]
    for pid in running:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_WITHIN
    for pid in running:
        while _alive(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        if _alive(pid):
            os.kill(pid, signal.SIGKILL)
    return len(running)


def describe(home: Path) -> dict[str, Any]:
    """What `lab.json` says, with the process ids of this moment."""
    return _describe(home.resolve(), _existing(home.resolve()))


def start(settings: Settings) -> None:
    """Start one hospital again and wait until it is ready."""
    _start(settings)
    _wait_until_ready([settings])


def stop(settings: Settings) -> None:
    """Switch one hospital off."""
    pid = _pid(settings)
    if pid is None:
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_WITHIN
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    if _alive(pid):
        os.kill(pid, signal.SIGKILL)


def _existing(home: Path) -> dict[str, Settings]:
    """The hospitals of a lab that is there; raises LabFailed where there is none."""
    found = _nodes(home)
    if not found:
        raise LabFailed(f"there is no lab in {home}; make one with: hie lab up --home {home}")
    return found


def _nodes(home: Path) -> dict[str, Settings]:
    return {p.parent.name: load(p.parent) for p in sorted(home.glob("*/node.toml"))}


def _make(home: Path, slugs: Sequence[str]) -> dict[str, Settings]:
    """Every named hospital, made if it is not there, and all of them known to each other."""
    nodes = _nodes(home)
    authority = _authority(home)
    missing = [slug for slug in slugs if slug not in nodes]
    with ExitStack() as held:
        ports = iter(_free_ports(5 * len(missing), held))
        for slug in missing:
            # left behind by a lab that was stopped while it made this hospital; nothing was ever in it
            shutil.rmtree(home / slug, ignore_errors=True)
            nodes[slug] = _create(home / slug, hospital(slug), authority, [next(ports) for _ in range(5)])
    if missing:
        entries = [own_entry(node, SigningKeys.load(node.keys, lab=True)) for node in nodes.values()]
        for node in nodes.values():
            write_by_hand(node.network, entries)
    return nodes


def _authority(home: Path) -> Credential:
    folder = home / "federation"
    folder.mkdir(mode=0o700, exist_ok=True)
    if not (folder / "ca.crt").exists():
        made = certificates.make_authority("hie-node lab", now=datetime.now(UTC))
        write_whole(folder / "ca.key", made.key)
        write_whole(folder / "ca.crt", made.certificate, mode=0o644)
    return Credential((folder / "ca.crt").read_bytes(), (folder / "ca.key").read_bytes())


def _free_ports(count: int, held: ExitStack) -> list[int]:
    """Ports that nobody has now; all are held until the last is found, so that none is given twice.

    Below the range from which the kernel takes the ports of outgoing connections: a node that starts again finds its
    own port free.
    """
    ports: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if len(ports) == count:
            break
        probe = held.enter_context(socket.socket())
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
    return ports


def _create(home: Path, made: LabHospital, authority: Credential, ports: Sequence[int]) -> Settings:
    community = derived_community(made.facility_code)
    house, peer, ops, mllp, dicom = ports
    node = NewNode(
        name=made.name,
        facility_code=FacilityCode(made.facility_code),
        home_community_id=community,
        patient_id_system=f"{community}.1",
        public_host="127.0.0.1",
        house_port=house,
        peer_port=peer,
        ops_port=ops,
        mllp_port=mllp,
        dicom_port=dicom,
        dicom_aet=made.slug.replace("-", "").upper()[:16],
        data_protection_officer="bv.lan",
        lab=True,
    )
    settings = create(home, node, authority=authority)
    _people(settings)
    return settings


def _people(settings: Settings) -> None:
    """Two systems with keys, and one person for each role, with passwords that only this lab has."""
    folder = settings.home / "clients"
    folder.mkdir(mode=0o700, exist_ok=True)
    keys: dict[str, tuple[str, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]] = {
        "his": ("ES384", ec.generate_private_key(ec.SECP384R1())),
        "pacs": ("RS384", rsa.generate_private_key(65537, 2048)),
    }
    clients = []
    storage = Storage(make_engine(settings.database_url))
    users = [(name, role, full, secrets.token_urlsafe(9)) for name, role, full in STAFF]
    with storage.begin() as unit:
        for client_id, (alg, key) in keys.items():
            jwk = dict(public_jwk(key.public_key())) | {"alg": alg}
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            write_whole(folder / f"{client_id}.pem", pem)
            unit.people_of_the_house.add_client(
                Client(client_id, {"keys": [jwk]}, ALL_SCOPES, Role.SYSTEM, tuple(PurposeOfUse), client_id.upper())
            )
            clients.append(
                {
                    "client_id": client_id,
                    "key_file": str(folder / f"{client_id}.pem"),
                    "kid": jwk["kid"],
                    "alg": alg,
                    "scopes": list(ALL_SCOPES),
                }
            )
        for username, role, full, password in users:
            unit.people_of_the_house.add_user(User(username, hasher(lab=True).hash(password), role, full))
    storage.close()
    known = [{"username": u, "password": p, "role": r.value, "name": n} for u, r, n, p in users]
    write_whole(settings.home / "lab-accounts.json", json.dumps({"clients": clients, "users": known}).encode())


def _start(settings: Settings) -> None:
    log = (settings.home / "node.log").open("ab")
    with log:
        started = subprocess.Popen(
            [sys.executable, "-m", "hie_node", "--home", str(settings.home), "serve"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | AS_SERVED | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
    # as the node itself does some seconds later: whoever is interrupted meanwhile must find what to stop
    (settings.run / "pid").write_text(f"{started.pid}\n", "ascii")


def _wait_until_ready(nodes: Any) -> None:
    deadline = time.monotonic() + READY_WITHIN
    for settings in nodes:
        while not is_ready(settings):
            if time.monotonic() > deadline:
                raise LabFailed(f"{settings.name} is not ready; its log is {settings.home / 'node.log'}")
            time.sleep(0.05)


def is_ready(settings: Settings) -> bool:
    """What the operations listener of a node says."""
    try:
        with urllib.request.urlopen(f"{settings.ops.url}/health/ready", timeout=2) as answer:  # noqa: S310 (loopback)
            return bool(answer.status == 200)
    except OSError:
        return False


def _pid(settings: Settings) -> int | None:
    """Of the main process, if it runs."""
    try:
        pid = int((settings.run / "pid").read_text("ascii"))
    except (FileNotFoundError, ValueError):
        return None
    return pid if _alive(pid) and _is_ours(pid, settings) else None


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def _is_ours(pid: int, settings: Settings) -> bool:
    """The number may have been given to another program since."""
    command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return b"hie_node" in command and str(settings.home).encode() in command


def _describe(home: Path, nodes: dict[str, Settings]) -> dict[str, Any]:
    listed = [_entry(home, slug, settings) for slug, settings in nodes.items()]
    lab = {"hospitals": listed}
    write_whole(home / "lab.json", json.dumps(lab, ensure_ascii=False, indent=2).encode() + b"\n")
    return lab


def _entry(home: Path, slug: str, settings: Settings) -> dict[str, Any]:
    accounts = json.loads((settings.home / "lab-accounts.json").read_text("utf-8"))
    return {
        "name": slug,
        "title": settings.name,
        "home": str(settings.home),
        "facility_code": str(settings.facility_code),
        "home_community_id": str(settings.home_community_id),
        "house_url": settings.house.url,
        "peer_url": settings.peer.url,
        "ops_url": settings.ops.url,
        "mllp_port": settings.mllp_port,
        "dicom_port": settings.dicom_port,
        "dicom_aet": settings.dicom_aet,
        "drop_folder": str(settings.drop),
        "ca_file": str(home / "federation" / "ca.crt"),
        "pid": _pid(settings),
        "patient_id_system": settings.patient_id_system,
        **accounts,
    }
