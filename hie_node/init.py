"""Make a node's home: settings, keys, certificates, database, folders; safe defaults, nothing shared."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from adapters.store.engine import make_engine
from adapters.store.migrations import migrate
from adapters.trust import certificates
from adapters.trust.certificates import Credential
from adapters.trust.directory import write_by_hand
from adapters.trust.files import write_whole
from adapters.trust.keys import SigningKeys, create_key_encryption_key
from hie_node import settings as settings_file
from hie_node.setting_tables import Listener, UnsafeSettings
from hie_node.settings import Settings
from registry.answers import Community
from registry.directory import Peer
from registry.errors import InvalidValue
from registry.identifiers import FacilityCode, HomeCommunityId

FOLDERS = ("contents", "keys", "tls", "drop", "spool", "run", "network")


@dataclass(frozen=True, slots=True)
class NewNode:
    """What an administrator says about a new node."""

    name: str
    facility_code: FacilityCode
    home_community_id: HomeCommunityId
    patient_id_system: str
    host: str = "127.0.0.1"
    public_host: str = "localhost"
    house_port: int = 8443
    peer_port: int = 9443
    ops_port: int = 8081
    mllp_port: int = 2575
    dicom_port: int = 11112
    dicom_aet: str = "HIE"
    database_url: str = ""
    data_protection_officer: str = ""
    lab: bool = False


_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}")


def derived_community(facility_code: str) -> HomeCommunityId:
    """A community id for a hospital that has no OID of its own yet: 2.25 and a UUID (X.667)."""
    return HomeCommunityId(
        f"urn:oid:2.25.{uuid.uuid5(uuid.NAMESPACE_URL, f'urn:hie-node:facility:{facility_code}').int}"
    )


def create(home: Path, node: NewNode, *, authority: Credential | None = None) -> Settings:
    """Make the home. `authority` issues the node's certificate; without one the node makes its own, to begin with."""
    if (home / "node.toml").exists():
        raise UnsafeSettings(f"{home} is a node already; nothing was changed")
    made = _settings(home.resolve(), node)
    made.check_ports()
    if not _HOST.fullmatch(node.public_host):
        raise InvalidValue(
            "public host", expected="a name or address alone, such as hie.example.vn", found=node.public_host
        )
    for folder in FOLDERS:
        (home / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    # first what can fail and be tried again: keys are made once
    engine = make_engine(made.database_url)
    migrate(engine)
    engine.dispose()
    keys = SigningKeys.create(made.keys)
    create_key_encryption_key(made.keys)
    _certificates(made, node, authority)
    write_by_hand(made.network, [own_entry(made, keys)])
    settings_file.write(made)
    return made


def _settings(home: Path, node: NewNode) -> Settings:
    def at(port: int, scheme: str = "https", host: str = node.host) -> Listener:
        return Listener(host, port, f"{scheme}://{node.public_host if scheme == 'https' else host}:{port}")

    return Settings(
        home=home,
        name=node.name,
        facility_code=node.facility_code,
        home_community_id=node.home_community_id,
        patient_id_system=node.patient_id_system,
        database_url=node.database_url or f"sqlite:///{home / 'node.db'}",
        house=at(node.house_port),
        peer=at(node.peer_port),
        ops=at(node.ops_port, "http", "127.0.0.1"),
        lab=node.lab,
        mllp_port=node.mllp_port,
        dicom_port=node.dicom_port,
        dicom_aet=node.dicom_aet,
        data_protection_officer=node.data_protection_officer,
    )


def _certificates(made: Settings, node: NewNode, authority: Credential | None) -> None:
    """The node's certificate for peers, and one for the hospital's own systems."""
    now = datetime.now(UTC)
    issuer = authority or certificates.make_authority(f"{node.name} (own authority)", now=now)
    if authority is None:
        write_whole(made.tls / "authority.key", issuer.key)
    hosts = sorted({node.public_host, "localhost", "127.0.0.1"})
    for name in ("node", "house"):
        issued = certificates.issue(issuer, made.home_community_id, organization=node.name, hosts=hosts, now=now)
        write_whole(made.tls / f"{name}.crt", issued.certificate, mode=0o644)
        write_whole(made.tls / f"{name}.key", issued.key)
    write_whole(made.tls / "federation-ca.crt", issuer.certificate, mode=0o644)


def own_entry(made: Settings, keys: SigningKeys) -> Peer:
    """This node as the directory of the network lists it."""
    public = keys.jwks(now=datetime.now(UTC))["keys"]
    community = Community(made.home_community_id, made.facility_code, made.name)
    return Peer(community, made.peer.url, tuple(public), speaks=frozenset({"fhir", "xca"}))
