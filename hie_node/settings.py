"""The settings of one node: read once from `node.toml`, frozen, each limit with its unit and reason.

Nothing unsafe is possible outside the lab: `Settings.check` refuses it before a listener opens.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from consent.policy import EVERYBODY
from consent.working_days import Calendar
from hie_node.ahead_tables import Line, TransfersAhead
from hie_node.setting_tables import (
    Atna,
    Dicom,
    DicomSystem,
    Hl7Sender,
    Limits,
    Listener,
    Mllp,
    Notices,
    Pacs,
    SignIn,
    Subscriptions,
    UnsafeSettings,
    check_ae_title,
)
from registry.errors import InvalidIdentifier
from registry.identifiers import FacilityCode, HomeCommunityId

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """One node.

    home                     the folder that holds everything of this node
    name                     of the hospital, as doctors elsewhere read it
    facility_code            five characters of the ministry (QĐ 384), text: it may begin with 0 or hold letters
    home_community_id        the hospital in the network, `urn:oid:…`; never changes once peers know it
    patient_id_system        assigning authority of the hospital's own patient numbers (MA_BN), a URI
    database_url             `postgresql://…`; absent: SQLite in the home
    house                    the door for systems and people of this hospital
    peer                     the door for other hospitals' nodes
    ops                      health and metrics; a loopback address
    lab                      a node for training and tests: invented people only, relaxed checks, and it says so
    mllp_port                where HL7 v2 is heard (MLLP); 0: nowhere
    dicom_port               where DICOM is spoken (C-STORE, C-FIND, C-MOVE, C-GET); 0: nowhere
    dicom_aet                the AE title that is answered to
    workers                  processes that answer requests; one is enough for a hospital
    threads                  requests that each of them answers at once, downloads included
    issuers                  what modalities write as issuer of a patient id when they mean this hospital, besides its
                             facility code and name
    cds_origins              `https://…` origins whose browsers may call the CDS services; usually none: systems call
    data_protection_officer  who is told of emergency access; without one there is none
    honoured_requests        hospitals whose desks are trusted to record a patient's request, by facility code or
                             community; "*": each of the network
    mado                     imaging manifests in the form of IHE MADO as well, which is a draft and may change
    strict_matching          link patients by shared numbers only, instead of weighing all that is known of them
    holidays                 days that are not worked beside the fixed ones (Tết, Hùng Kings), as "2027-02-08": the
                             clock of reviews stands still on them
    notices                  how people are told
    atna                     where audit messages are collected, if anywhere
    limits                   the bounds below
    mllp                     who may send HL7 v2, and how
    dicom                    who may call over DICOM, and how
    pacs                     archives of this hospital whose studies stay where they are
    sign_in                  how people sign in
    subscriptions            where systems may have themselves told of what happens
    ahead                    what is fetched ahead of referred patients
    """

    home: Path
    name: str
    facility_code: FacilityCode
    home_community_id: HomeCommunityId
    patient_id_system: str
    database_url: str
    house: Listener
    peer: Listener
    ops: Listener
    lab: bool = False
    mllp_port: int = 0
    dicom_port: int = 0
    dicom_aet: str = "HIE"
    workers: int = 1
    threads: int = 32
    issuers: tuple[str, ...] = ()
    cds_origins: tuple[str, ...] = ()
    data_protection_officer: str = ""
    honoured_requests: tuple[str, ...] = (EVERYBODY,)
    mado: bool = False
    strict_matching: bool = False
    holidays: tuple[str, ...] = ()
    notices: Notices = field(default_factory=Notices)
    atna: Atna = field(default_factory=Atna)
    limits: Limits = field(default_factory=Limits)
    mllp: Mllp = field(default_factory=Mllp)
    dicom: Dicom = field(default_factory=Dicom)
    pacs: tuple[Pacs, ...] = ()
    sign_in: SignIn = field(default_factory=SignIn)
    subscriptions: Subscriptions = field(default_factory=Subscriptions)
    ahead: TransfersAhead = field(default_factory=TransfersAhead)

    @property
    def contents(self) -> Path:
        return self.home / "contents"

    @property
    def keys(self) -> Path:
        return self.home / "keys"

    @property
    def tls(self) -> Path:
        return self.home / "tls"

    @property
    def drop(self) -> Path:
        return self.home / "drop"

    @property
    def spool(self) -> Path:
        return self.home / "spool"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def counters(self) -> Path:
        return self.run / "metrics"

    @property
    def outbox(self) -> Path:
        return self.home / "outbox"

    @property
    def calendar(self) -> Calendar:
        return Calendar(frozenset(map(date.fromisoformat, self.holidays)))

    @property
    def network(self) -> Path:
        return self.home / "network"

    def check_ports(self) -> None:
        """Raise UnsafeSettings where two doors share a port."""
        ports = [p for p in (self.house.port, self.peer.port, self.ops.port, self.mllp_port, self.dicom_port) if p]
        if twice := [port for port in ports if ports.count(port) > 1]:
            raise UnsafeSettings(f"port {twice[0]} is that of two doors; give each its own")

    def check(self) -> None:
        """Raise UnsafeSettings unless this node may run with these settings."""
        for name, listener in (("house", self.house), ("peer", self.peer)):
            if not listener.url.startswith("https://"):
                raise UnsafeSettings(f"[{name}] url must begin with https://: records never travel in the clear")
        self.check_ports()
        if not self.ops.is_loopback:
            raise UnsafeSettings("[ops] host must be a loopback address: health and metrics have no login")
        self.sign_in.check()
        self.ahead.check()
        if self.mllp_port:
            self.mllp.check()
        self.notices.check()
        self.subscriptions.check()
        check_ae_title("[node] dicom_aet", self.dicom_aet)
        if self.dicom_port:
            self.dicom.check()
        for archive in self.pacs:
            archive.check()
        if any(not _is_origin(each) for each in self.cds_origins):
            raise UnsafeSettings("cds_origins: expected https://host[:port] each, never *")
        if self.lab:
            doors = (self.house, self.peer, self.mllp, self.dicom)
            if not all(door.is_loopback for door in doors):
                raise UnsafeSettings("a lab node listens on loopback only; set lab = false for a real one")
            return
        if os.geteuid() == 0:
            raise UnsafeSettings("hie does not run as root; start it as a user of its own (see docs/administrator.md)")
        if self.database_url.startswith("postgresql") and "sslmode=disable" in self.database_url:
            raise UnsafeSettings("database url: sslmode=disable is for the lab only")


def _is_origin(text: str) -> bool:
    host = text.removeprefix("https://")
    return text.startswith("https://") and bool(host) and not set(host) & set("/*?#@ ")


def load(home: Path) -> Settings:
    """Read `node.toml` of a node's home. Raises UnsafeSettings with the line to mend."""
    file = home / "node.toml"
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise UnsafeSettings(f"{file} is not there; give --home, or make a node with: hie init {home}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UnsafeSettings(f"{file}: {error}") from error
    try:
        return _settings(home.resolve(), values)
    except KeyError as error:
        raise UnsafeSettings(f"{file}: {error.args[0]} is missing") from error
    except (InvalidIdentifier, TypeError, ValueError) as error:
        raise UnsafeSettings(f"{file}: {error}") from error


def _settings(home: Path, values: dict[str, Any]) -> Settings:
    node = dict(values["node"])
    tables = {"house", "peer", "ops", "limits", "mllp", "notices", "atna", "dicom", "pacs"}
    tables |= {"sign_in", "subscriptions", "ahead"}
    known = {f.name for f in fields(Settings)} - tables - {"home"}
    unknown = set(node) - known
    if unknown or set(values) - tables - {"node"}:
        names = sorted(unknown | (set(values) - tables - {"node"}))
        raise ValueError(f"unknown setting: {', '.join(names)}")
    for name in ("name", "facility_code", "home_community_id", "patient_id_system"):
        if not isinstance(node[name], str):
            raise ValueError(f"[node] {name}: expected {_WORDS['str']}")
    made = Settings(
        home=home,
        **node
        | {
            "facility_code": FacilityCode(node["facility_code"]),
            "home_community_id": HomeCommunityId(node["home_community_id"]),
            "issuers": _texts("issuers", node.get("issuers", ())),
            "holidays": _days(node.get("holidays", ())),
            "honoured_requests": _hospitals(node.get("honoured_requests", (EVERYBODY,))),
            "cds_origins": _texts("cds_origins", node.get("cds_origins", ())),
            "database_url": node.get("database_url") or f"sqlite:///{home / 'node.db'}",
        },
        house=_table(Listener, "house", values["house"]),
        peer=_table(Listener, "peer", values["peer"]),
        ops=_table(Listener, "ops", values["ops"]),
        limits=_table(Limits, "limits", values.get("limits", {})),
        mllp=_mllp(dict(values.get("mllp", {}))),
        notices=_table(Notices, "notices", values.get("notices", {})),
        atna=_table(Atna, "atna", values.get("atna", {})),
        dicom=_dicom(dict(values.get("dicom", {}))),
        pacs=tuple(_table(Pacs, "pacs", each) for each in values.get("pacs", ())),
        sign_in=_table(SignIn, "sign_in", values.get("sign_in", {})),
        subscriptions=_subscriptions(dict(values.get("subscriptions", {}))),
        ahead=_ahead(dict(values.get("ahead", {}))),
    )
    for table, name in ((made, "node"), (made.house, "house"), (made.peer, "peer"), (made.ops, "ops")):
        _check_kinds(table, name)
    _check_kinds(made.limits, "limits")
    _check_kinds(made.mllp, "mllp")
    _check_kinds(made.notices, "notices")
    _check_kinds(made.atna, "atna")
    _check_kinds(made.sign_in, "sign_in")
    _check_kinds(made.subscriptions, "subscriptions")
    _check_kinds(made.ahead, "ahead")
    for line in made.ahead.lines:
        _check_kinds(line, "ahead.lines")
    for sender in made.mllp.senders:
        _check_kinds(sender, "mllp.senders")
    _check_kinds(made.dicom, "dicom")
    for archive in made.pacs:
        _check_kinds(archive, "pacs")
    for system in made.dicom.systems:
        _check_kinds(system, "dicom.systems")
    return made


def _days(values: Any) -> tuple[str, ...]:
    days = _texts("holidays", values)
    for one in days:
        try:
            date.fromisoformat(one)
        except ValueError:
            raise ValueError(f'[node] holidays: expected days such as "2027-02-08", found {one}') from None
    return days


def _texts(name: str, values: Any) -> tuple[str, ...]:
    """A list: the letters of a text would count as its members."""
    if not isinstance(values, list | tuple) or not all(isinstance(each, str) for each in values):
        raise ValueError(f"[node] {name}: expected a list of texts in quotes")
    return tuple(values)


def _hospitals(values: Any) -> tuple[str, ...]:
    """Facility codes, communities, or "*"; raises UnsafeSettings for a name that could be nobody's."""
    if not isinstance(values, list | tuple):
        raise UnsafeSettings('honoured_requests: expected a list, such as ["01929", "urn:oid:1.2.3"]')
    for one in values:
        try:
            if one != EVERYBODY:
                HomeCommunityId(one) if str(one).startswith("urn:") else FacilityCode(one)
        except (InvalidIdentifier, TypeError) as error:
            raise UnsafeSettings(
                f'honoured_requests: expected facility codes, communities or "*"; found {one}'
            ) from error
    return tuple(values)


def _mllp(values: dict[str, Any]) -> Mllp:
    senders = tuple(
        _table(Hl7Sender, "mllp.senders", {**each, "addresses": tuple(each.get("addresses", ()))})
        for each in values.pop("senders", ())
    )
    authorities = {name.upper(): system for name, system in values.pop("authorities", {}).items()}
    return _table(Mllp, "mllp", {**values, "senders": senders, "authorities": authorities})


def _subscriptions(values: dict[str, Any]) -> Subscriptions:
    endpoints = values.pop("endpoints", ())
    if not isinstance(endpoints, list | tuple) or not all(isinstance(each, str) for each in endpoints):
        # the letters of a text would count as names, and one of them may be *
        raise ValueError("[subscriptions] endpoints: expected a list of texts")
    endpoints = tuple(endpoints)
    return _table(Subscriptions, "subscriptions", {**values, "endpoints": endpoints})


def _dicom(values: dict[str, Any]) -> Dicom:
    systems = tuple(
        _table(DicomSystem, "dicom.systems", {**each, "addresses": tuple(each.get("addresses", ()))})
        for each in values.pop("systems", ())
    )
    return _table(Dicom, "dicom", {**values, "systems": systems})


def _ahead(values: dict[str, Any]) -> TransfersAhead:
    lines = tuple(_table(Line, "ahead.lines", each) for each in values.pop("lines", ()))
    return _table(TransfersAhead, "ahead", {**values, "lines": lines})


def _table(kind: Callable[..., T], name: str, values: dict[str, Any]) -> T:
    try:
        return kind(**values)
    except TypeError as error:
        known = ", ".join(f.name for f in fields(kind))  # type: ignore[arg-type]
        raise ValueError(f"[{name}] has a setting that is unknown, or misses one; there are: {known}") from error


def _check_kinds(table: Any, name: str) -> None:
    """A text where yes or no belongs would count as yes: `lab = "false"` must not make a lab."""
    kinds = {"bool": bool, "int": int, "float": (int, float), "str": str}
    for f in fields(table):
        value, kind = getattr(table, f.name), kinds.get(str(f.type))
        if kind is None:
            continue
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):  # type: ignore[arg-type]
            raise ValueError(f"[{name}] {f.name}: expected {_WORDS[str(f.type)]}")
        if value == f.default:
            continue
        if isinstance(value, int | float) and not _LEAST.get(f.name, 0) <= value <= _MOST.get(f.name, value):
            raise ValueError(f"[{name}] {f.name}: {value} is out of range")


_WORDS = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text in quotes"}
_LEAST = (
    {"workers": 1, "threads": 1, "port": 1}
    | {f.name: 0.001 for f in fields(Limits)}
    | {
        "patients_a_day_peer": 0,
        "patients_a_day_person": 0,
    }
    | {"seconds": 0.1, "most": 1, "keep": 1}
)
_MOST = {"port": 65535, "smtp_port": 65535, "mllp_port": 65535, "dicom_port": 65535, "workers": 64, "threads": 512}


def write(settings: Settings) -> None:
    """Write `node.toml` of a new node."""
    lines = ["# The settings of this node; see docs/administrator.md. Limits that may be set: [limits]", "[node]"]
    lines += [
        f"name = {_quoted(settings.name)}",
        f"facility_code = {_quoted(str(settings.facility_code))}",
        f"home_community_id = {_quoted(str(settings.home_community_id))}",
        f"patient_id_system = {_quoted(settings.patient_id_system)}",
        f"lab = {str(settings.lab).lower()}",
        f"workers = {settings.workers}",
        f"mllp_port = {settings.mllp_port}",
        f"dicom_port = {settings.dicom_port}",
        f"dicom_aet = {_quoted(settings.dicom_aet)}",
        f"data_protection_officer = {_quoted(settings.data_protection_officer)}",
    ]
    if not settings.database_url.startswith("sqlite"):
        lines.append(f"database_url = {_quoted(settings.database_url)}")
    for name, at in (("house", settings.house), ("peer", settings.peer), ("ops", settings.ops)):
        lines += ["", f"[{name}]", f"host = {_quoted(at.host)}", f"port = {at.port}", f"url = {_quoted(at.url)}"]
    for name, host in (("mllp", settings.mllp.host), ("dicom", settings.dicom.host)):
        lines += ["", f"[{name}]", f"host = {_quoted(host)}"]
    (settings.home / "node.toml").write_text("\n".join(lines) + "\n", "utf-8")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
