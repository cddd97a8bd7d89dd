"""Many hospitals in one process: each has a port, a certificate and an answer of its own, and 20 ms to think.

They check nothing but the client's certificate: what is measured is the node that asks.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvloop

from adapters.trust import certificates
from adapters.trust.certificates import Credential
from registry.answers import Community
from registry.directory import Peer
from registry.identifiers import FacilityCode, HomeCommunityId
from tests.bench import messages

DELAY = 0.02
SLOW = 10.0
_MODALITY = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}


@dataclass(frozen=True, slots=True)
class Stubs:
    """The hospitals that answer, one that takes ten seconds, and one that nobody hears."""

    peers: tuple[Peer, ...]
    slow: Peer
    dead: Peer


@contextmanager
def stub_peers(folder: Path, federation: Path, count: int) -> Iterator[Stubs]:
    """So many of them until the block is left; `federation` holds the lab's authority."""
    authority = Credential((federation / "ca.crt").read_bytes(), (federation / "ca.key").read_bytes())
    with ExitStack() as held:
        ports = [_free(held) for _ in range(count + 2)]
    peers = [_peer(number, port) for number, port in enumerate(ports)]
    homes = [_home(folder, authority, number, peer) for number, peer in enumerate(peers[:-1])]
    homes[-1] |= {"delay": SLOW}
    config = folder / "stubs.json"
    config.write_text(json.dumps({"authority": str(federation / "ca.crt"), "hospitals": homes}))
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.stub_peers", str(config)])
    try:
        _wait_for(ports[count])
        yield Stubs(tuple(peers[:count]), peers[count], peers[count + 1])
    finally:
        process.terminate()
        process.wait(10)


def _free(held: ExitStack) -> int:
    probe = held.enter_context(socket.socket())
    probe.bind(("127.0.0.1", 0))
    return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the stub hospitals did not start")


def _peer(number: int, port: int) -> Peer:
    home = HomeCommunityId(f"urn:oid:1.2.840.99.77.{number + 1}")
    community = Community(home, FacilityCode(f"98{number:03d}"), f"Bệnh viện thử {number}")
    return Peer(community, f"https://127.0.0.1:{port}", (), frozenset())


def _home(folder: Path, authority: Credential, number: int, peer: Peer) -> dict[str, Any]:
    made = certificates.issue(
        authority, peer.home, organization=peer.community.name, hosts=["127.0.0.1"], now=datetime.now(UTC)
    )
    file = folder / f"stub{number}.pem"
    file.write_bytes(made.certificate + made.key)
    port = int(peer.peer_url.rpartition(":")[2])
    system = f"{peer.home}.1"
    answers = {"DocumentReference": _answer(system), "ImagingStudy": _studies(system)}
    return {"port": port, "certificate": str(file), "delay": DELAY, "answers": answers}


def _answer(system: str) -> str:
    """Two documents of one patient: some 3 KB."""
    entries = []
    for _ in range(2):
        subject = {"identifier": {"system": system, "value": "BN000000001"}}
        document = messages.reference(subject, str(uuid4()), str(uuid4()))
        attachment = document["content"][0]["attachment"]
        attachment["hash"] = b64encode(sha1(messages.TEXT, usedforsecurity=False).digest()).decode()
        attachment["url"] = f"/fhir/Binary/{uuid4()}"
        resource = document | {"id": str(uuid4()), "meta": {"versionId": "1", "lastUpdated": "2026-05-04T01:00:00Z"}}
        entries.append({"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource, "search": {"mode": "match"}})
    return _found(entries)


def _studies(system: str) -> str:
    """One CT of the same patient."""
    uid = f"2.25.{uuid4().int}"
    study = {
        "resourceType": "ImagingStudy",
        "id": str(uuid4()),
        "meta": {"versionId": "1", "lastUpdated": "2026-05-04T01:00:00Z"},
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
        "status": "available",
        "subject": {"identifier": {"system": system, "value": "BN000000001"}},
        "started": "2026-05-03T22:15:00+07:00",
        "modality": [_MODALITY],
        "numberOfSeries": 1,
        "numberOfInstances": 20,
        "description": "CT so nao",
        "series": [{"uid": f"{uid}.1", "modality": _MODALITY, "numberOfInstances": 20, "description": "5 mm"}],
    }
    return _found([{"fullUrl": f"urn:uuid:{study['id']}", "resource": study, "search": {"mode": "match"}}])


def _found(entries: list[dict[str, Any]]) -> str:
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries}
    return json.dumps(bundle, ensure_ascii=False)


# ---- the process ----


async def _serve(config: dict[str, Any]) -> None:
    servers = [await _hospital(each, config["authority"]) for each in config["hospitals"]]
    await asyncio.gather(*(server.serve_forever() for server in servers))


async def _hospital(one: dict[str, Any], authority: str) -> asyncio.Server:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(one["certificate"])
    answers = {kind: _whole(text.encode()) for kind, text in one["answers"].items()}

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = await reader.readuntil(b"\r\n\r\n")
                _, _, rest = asked.lower().partition(b"content-length:")
                await reader.readexactly(int(rest.split(b"\r\n", 1)[0]) if rest else 0)
                await asyncio.sleep(one["delay"])
                writer.write(answers["ImagingStudy" if b"/ImagingStudy" in asked[:40] else "DocumentReference"])
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            writer.close()

    return await asyncio.start_server(client, "127.0.0.1", one["port"], ssl=context, backlog=256)


def _whole(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def ports_of(peers: Sequence[Peer]) -> list[int]:
    return [int(peer.peer_url.rpartition(":")[2]) for peer in peers]


if __name__ == "__main__":
    uvloop.run(_serve(json.loads(Path(sys.argv[1]).read_text())))
