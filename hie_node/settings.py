"""The settings of one node: read once from `node.toml`, frozen, each limit with its unit and reason.

Nothing unsafe is possible outside the lab: `Settings.check` refuses it before a listener opens.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from consent.working_days import Calendar
from registry.errors import InvalidIdentifier
from registry.identifiers import FacilityCode, HomeCommunityId

T = TypeVar("T")
AE_TITLE = 16
"""Characters of an AE title. Source: DICOM PS3.5: 6.2."""


class UnsafeSettings(Exception):
    """A setting that would endanger patients; the text says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a door listens, and under which address others reach it (`url`, without a slash at the end)."""

    host: str
    port: int
    url: str

    @property
    def is_loopback(self) -> bool:
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds that an operator may set; what a wire format fixes stands beside that format (docs/administrator.md).

    fhir_body           bytes of a FHIR request: a report with its PDF, not an archive
    dicom_body          bytes of one STOW request; spooled to disk, never in memory
    file_body           bytes of one dropped or published file
    document_body       bytes of one dropped document, which is read whole
    answer_budget       seconds until an answer over the network leaves, whoever is missing; a doctor waits no longer
    open_budget         seconds until the first byte of a document or study from a peer
    peer_answer         bytes that a peer may answer to a search
    ask_everyone_up_to  peers up to which everyone is asked; beyond, those where the patient is known to have been
    refusal_pace        seconds; answers to peers that show nothing leave in this beat, so that their time tells nothing
    recheck             seconds between two looks at the consent while content flows
    correlation         hours that a patient's number, told between hospitals over SOAP, is used without asking again
    remember_remote     days that what a peer listed can be opened without asking again
    seal_every          seconds between two seals over the record of disclosures
    heads_every         seconds between two times that the newest head of the record is shown to those who keep it
    breadth_times       times the own median day of different patients from which on an alarm is raised, and
    breadth_least       patients a day below which none is
    patients_a_day_peer    different patients a day that one hospital may ask for; beyond, nothing is shown; 0: no bound
    patients_a_day_person  the same for one login, here or elsewhere; a declared emergency is not stopped
    quota_look          seconds between two looks at who has reached it
    canary_every        seconds between two rounds of questions that must be refused
    keep_dropped        days that an accepted file stays in the drop folder's `done`
    remember_messages   days that an HL7 message is known when it is sent again; queues are emptied sooner
    order_budget        seconds that a card at the moment of ordering waits for other hospitals: less than a glance
    order_fresh         seconds for which what other hospitals listed is shown without asking again
    keep_feeds          days that what a system sent is kept as it came, encrypted, to be looked at and read again
    scan_body           bytes of one scanned written request: some pages at 300 dpi
    session_idle        seconds without a request until a page asks for the password again: a desk is left alone, and
    session_life        seconds until it does so in any case: one shift
    login_tries         wrong passwords for one name until it has to wait, and
    login_wait          seconds counted from the first of them
    proof_life          seconds for which who somebody is counts as proved, for emergency access and exports
    """

    fhir_body: int = 10 << 20
    dicom_body: int = 8 << 30
    file_body: int = 2 << 30
    document_body: int = 128 << 20
    answer_budget: float = 2.0
    open_budget: float = 10.0
    peer_answer: int = 5 << 20
    ask_everyone_up_to: int = 34
    refusal_pace: float = 0.02
    recheck: float = 2.0
    correlation: int = 24
    remember_remote: int = 30
    seal_every: float = 2.0
    heads_every: float = 60.0
    breadth_times: float = 5.0
    breadth_least: int = 100
    patients_a_day_peer: int = 20_000
    patients_a_day_person: int = 2_000
    quota_look: float = 10.0
    canary_every: float = 60.0
    keep_dropped: int = 7
    remember_messages: int = 30
    order_budget: float = 0.8
    order_fresh: int = 900
    keep_feeds: int = 30
    scan_body: int = 10 << 20
    session_idle: int = 900
    session_life: int = 43200
    login_tries: int = 10
    login_wait: int = 900
    proof_life: int = 300


@dataclass(frozen=True, slots=True)
class Hl7Sender:
    """A system that may send HL7 v2: MSH-3, MSH-4 (empty: any), and where it sends from (empty: anywhere)."""

    application: str
    facility: str = ""
    addresses: tuple[str, ...] = ()

    def comes_from(self, address: str) -> bool:
        return not self.addresses or any(ip_address(address) in ip_network(each) for each in self.addresses)

    def is_named(self, application: str, facility: str) -> bool:
        return self.application == application and self.facility in ("", facility)


@dataclass(frozen=True, slots=True)
class Mllp:
    """The door for HL7 v2; its port is `mllp_port` of [node], 0 for none.

    host              address to listen at; off loopback only with client certificates, or all senders by address
    tls               with the certificate of the house door
    client_authority  PEM file: senders must show a certificate of these signers
    senders           who may send; empty: whoever reaches the door
    authorities       assigning authorities that senders name by a namespace only, and the systems that they mean
    idle_seconds      s that a connection may be silent between messages
    frame_seconds     s for one message to arrive
    connections       at once; beyond, the one that was silent longest makes room
    threads           messages worked on at once, those of one connection one after the other
    """

    host: str = "127.0.0.1"
    tls: bool = False
    client_authority: str = ""
    senders: tuple[Hl7Sender, ...] = ()
    authorities: Mapping[str, str] = field(default_factory=dict)
    idle_seconds: float = 3600.0
    frame_seconds: float = 60.0
    connections: int = 1000
    threads: int = 4

    @property
    def is_loopback(self) -> bool:
        return Listener(self.host, 0, "").is_loopback

    def check(self) -> None:
        """Raise UnsafeSettings for a door that strangers on the network could use."""
        try:
            for sender in self.senders:
                for each in sender.addresses:
                    ip_network(each)
        except ValueError as error:
            raise UnsafeSettings(f"[[mllp.senders]] addresses: {error}") from error
        if self.client_authority and not self.tls:
            raise UnsafeSettings("[mllp] client_authority needs tls = true")
        listed = bool(self.senders) and all(sender.addresses for sender in self.senders)
        if not (self.is_loopback or listed or self.client_authority):
            raise UnsafeSettings(
                "[mllp] host is not a loopback address: HL7 v2 has no login, so list each sender with its addresses "
                "in [[mllp.senders]], or set tls = true and client_authority"
            )


@dataclass(frozen=True, slots=True)
class Notices:
    """How people are told of what cannot wait: a mail to the data protection officer, and a file in the outbox.

    officer        mail address of the data protection officer; empty: only the outbox
    patients       true: a file in the outbox for each patient whose telephone is known; the hospital's own sender of
                   text messages takes it from there
    smtp_host      mail server; empty: no mail leaves
    smtp_port      its port
    smtp_security  `starttls`, `tls`, or `none` for a server on this machine
    smtp_user      login at the mail server; its password is in `keys/smtp-password`
    sender         address that the mails come from
    """

    officer: str = ""
    patients: bool = False
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_security: str = "starttls"
    smtp_user: str = ""
    sender: str = ""

    def check(self) -> None:
        """Raise UnsafeSettings for mail that could be read on its way, or that can go nowhere."""
        if self.smtp_security not in ("starttls", "tls", "none"):
            raise UnsafeSettings('[notices] smtp_security: expected "starttls", "tls" or "none"')
        if self.smtp_host and not (self.officer and self.sender):
            raise UnsafeSettings("[notices] smtp_host needs officer and sender")
        if self.smtp_host and self.smtp_security == "none" and not Listener(self.smtp_host, 0, "").is_loopback:
            raise UnsafeSettings('[notices] smtp_security = "none" is for a mail server on this machine only')


@dataclass(frozen=True, slots=True)
class Atna:
    """A collector of audit messages (IHE ATNA, syslog over TLS) that gets every row of the record.

    host       its name, as in its certificate; empty: none
    port       of syslog over TLS (RFC 5425)
    authority  PEM file with who signed its certificate; empty: the authorities of this machine
    """

    host: str = ""
    port: int = 6514
    authority: str = ""


@dataclass(frozen=True, slots=True)
class DicomSystem:
    """A modality, archive or viewer of this hospital: its AE title, where it calls from (empty: anywhere), and where
    it listens, if it does: only then can images be sent to it."""

    ae_title: str
    addresses: tuple[str, ...] = ()
    host: str = ""
    port: int = 0
    tls: bool = False

    def is_calling(self, title: str, address: str) -> bool:
        """Whether it is this system that calls by `title` from `address`."""
        listed = not self.addresses or any(ip_address(address) in ip_network(each) for each in self.addresses)
        return title == self.ae_title and listed


@dataclass(frozen=True, slots=True)
class Dicom:
    """The DICOM port; its number is `dicom_port` of [node], 0 for none, its name `dicom_aet`.

    host               address to listen at; off loopback only with client certificates, or all systems by address
    tls                with the certificate of the house door
    client_authority   PEM file: callers must show a certificate of these signers
    systems            who may call; empty: whoever reaches the port may store. Only listed systems are shown records
    associations       at once; beyond, the one that was silent longest makes room
    threads            requests worked on at once
    associate_seconds  s from the connection to the request for an association
    pdu_seconds        s for one PDU to arrive or to be taken
    message_seconds    s for one object to arrive
    idle_seconds       s that an association may be silent
    """

    host: str = "127.0.0.1"
    tls: bool = False
    client_authority: str = ""
    systems: tuple[DicomSystem, ...] = ()
    associations: int = 500
    threads: int = 4
    associate_seconds: float = 10.0
    pdu_seconds: float = 30.0
    message_seconds: float = 900.0
    idle_seconds: float = 300.0

    @property
    def is_loopback(self) -> bool:
        return Listener(self.host, 0, "").is_loopback

    def check(self) -> None:
        """Raise UnsafeSettings for a port that strangers on the network could use."""
        try:
            for system in self.systems:
                for each in system.addresses:
                    ip_network(each)
        except ValueError as error:
            raise UnsafeSettings(f"[[dicom.systems]] addresses: {error}") from error
        if any(not 0 < len(system.ae_title) <= AE_TITLE or not system.ae_title.isascii() for system in self.systems):
            raise UnsafeSettings(f"[[dicom.systems]] ae_title: expected 1 to {AE_TITLE} ASCII characters")
        if self.client_authority and not self.tls:
            raise UnsafeSettings("[dicom] client_authority needs tls = true")
        listed = bool(self.systems) and all(system.addresses for system in self.systems)
        if not (self.is_loopback or listed or self.client_authority):
            raise UnsafeSettings(
                "[dicom] host is not a loopback address: an AE title is no login, so list each system with its "
                "addresses in [[dicom.systems]], or set tls = true and client_authority"
            )


@dataclass(frozen=True, slots=True)
class Pacs:
    """An archive of this hospital whose studies are indexed here and stay there.

    url            of its DICOMweb service; empty for one that speaks only DIMSE (C-FIND and C-GET)
    ae_title       of an archive without DICOMweb, at host and port
    password_file  `user:password` for the DICOMweb service, a file that nobody else may read
    authority      PEM file of who signed its certificate; empty: the authorities of this machine
    days           of studies that each look asks for, back from today
    look_every     s between two looks
    """

    name: str
    url: str = ""
    ae_title: str = ""
    host: str = ""
    port: int = 0
    password_file: str = ""
    authority: str = ""
    days: int = 3
    look_every: float = 30.0

    def check(self) -> None:
        """Raise UnsafeSettings for an archive that cannot be reached, or only in the clear."""
        if bool(self.url) == bool(self.ae_title and self.host and self.port):
            raise UnsafeSettings(f"[[pacs]] {self.name}: give either url, or ae_title, host and port")
        place = urlsplit(self.url)
        if self.url and place.scheme != "https" and not Listener(place.hostname or "", 0, "").is_loopback:
            raise UnsafeSettings(f"[[pacs]] {self.name}: url must begin with https:// off this machine")


@dataclass(frozen=True, slots=True)
class SignIn:
    """How people of this hospital sign in at the pages.

    second_factor       `demanded` of everybody with a password, or `not-demanded`; empty: demanded outside the lab
    provider            issuer of the hospital's OpenID Connect provider, `https://…`; empty: local accounts only
    provider_name       as the button says it
    client_id           of this node at the provider
    client_secret_file  with the secret of this node there, below the home; readable for nobody else
    provider_ca_file    PEM file of the authority behind the provider's certificate; empty: the system's
    role_claim          of the ID token: a text or a list; `a.b` for `b` inside `a`
    roles               values of that claim and the roles they mean; who has none of them is not let in
    local_accounts      whether passwords are taken beside the provider
    """

    second_factor: str = ""
    provider: str = ""
    provider_name: str = ""
    client_id: str = ""
    client_secret_file: str = ""
    provider_ca_file: str = ""
    role_claim: str = "roles"
    roles: Mapping[str, str] = field(default_factory=dict)
    local_accounts: bool = True

    def demands_second_factor(self, *, lab: bool) -> bool:
        return self.second_factor == "demanded" or (not self.second_factor and not lab)

    def check(self) -> None:
        """Raise UnsafeSettings for what would let the wrong people in."""
        if self.second_factor not in ("", "demanded", "not-demanded"):
            raise UnsafeSettings('[sign_in] second_factor: expected "demanded" or "not-demanded"')
        if self.provider and not self.provider.startswith("https://"):
            raise UnsafeSettings("[sign_in] provider must begin with https://")
        if self.provider and not (self.client_id and self.roles):
            raise UnsafeSettings("[sign_in] provider needs client_id, and [sign_in.roles] with who may do what")
        wrong = sorted(set(self.roles.values()) - PEOPLES_ROLES)
        if wrong:
            raise UnsafeSettings(
                f"[sign_in.roles] {', '.join(wrong)}: expected one of {', '.join(sorted(PEOPLES_ROLES))}"
            )
        if not self.provider and not self.local_accounts:
            raise UnsafeSettings("[sign_in] local_accounts = false needs a provider, or nobody could sign in")


PEOPLES_ROLES = frozenset({"doctor", "nurse", "registrar", "consent-desk", "administrator", "data-protection-officer"})


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
    strict_matching: bool = False
    holidays: tuple[str, ...] = ()
    notices: Notices = field(default_factory=Notices)
    atna: Atna = field(default_factory=Atna)
    limits: Limits = field(default_factory=Limits)
    mllp: Mllp = field(default_factory=Mllp)
    dicom: Dicom = field(default_factory=Dicom)
    pacs: tuple[Pacs, ...] = ()
    sign_in: SignIn = field(default_factory=SignIn)

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
    def outbox(self) -> Path:
        return self.home / "outbox"

    @property
    def calendar(self) -> Calendar:
        return Calendar(frozenset(map(date.fromisoformat, self.holidays)))

    @property
    def network(self) -> Path:
        return self.home / "network"

    def check(self) -> None:
        """Raise UnsafeSettings unless this node may run with these settings."""
        for name, listener in (("house", self.house), ("peer", self.peer)):
            if not listener.url.startswith("https://"):
                raise UnsafeSettings(f"[{name}] url must begin with https://: records never travel in the clear")
        if not self.ops.is_loopback:
            raise UnsafeSettings("[ops] host must be a loopback address: health and metrics have no login")
        self.sign_in.check()
        if self.mllp_port:
            self.mllp.check()
        self.notices.check()
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
        raise UnsafeSettings(f"{file} is not there; make a node with: hie init {home}") from None
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
    tables = {"house", "peer", "ops", "limits", "mllp", "notices", "atna", "dicom", "pacs", "sign_in"}
    known = {f.name for f in fields(Settings)} - tables - {"home"}
    unknown = set(node) - known
    if unknown or set(values) - tables - {"node"}:
        names = sorted(unknown | (set(values) - tables - {"node"}))
        raise ValueError(f"unknown setting: {', '.join(names)}")
    made = Settings(
        home=home,
        **node
        | {
            "facility_code": FacilityCode(node["facility_code"]),
            "home_community_id": HomeCommunityId(node["home_community_id"]),
            "issuers": tuple(node.get("issuers", ())),
            "holidays": _days(node.get("holidays", ())),
            "cds_origins": tuple(node.get("cds_origins", ())),
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
    )
    for table, name in ((made, "node"), (made.house, "house"), (made.peer, "peer"), (made.ops, "ops")):
        _check_kinds(table, name)
    _check_kinds(made.limits, "limits")
    _check_kinds(made.mllp, "mllp")
    _check_kinds(made.notices, "notices")
    _check_kinds(made.atna, "atna")
    _check_kinds(made.sign_in, "sign_in")
    for sender in made.mllp.senders:
        _check_kinds(sender, "mllp.senders")
    _check_kinds(made.dicom, "dicom")
    for archive in made.pacs:
        _check_kinds(archive, "pacs")
    for system in made.dicom.systems:
        _check_kinds(system, "dicom.systems")
    return made


def _days(values: Any) -> tuple[str, ...]:
    for one in values:
        date.fromisoformat(one)
    return tuple(values)


def _mllp(values: dict[str, Any]) -> Mllp:
    senders = tuple(
        _table(Hl7Sender, "mllp.senders", {**each, "addresses": tuple(each.get("addresses", ()))})
        for each in values.pop("senders", ())
    )
    authorities = {name.upper(): system for name, system in values.pop("authorities", {}).items()}
    return _table(Mllp, "mllp", {**values, "senders": senders, "authorities": authorities})


def _dicom(values: dict[str, Any]) -> Dicom:
    systems = tuple(
        _table(DicomSystem, "dicom.systems", {**each, "addresses": tuple(each.get("addresses", ()))})
        for each in values.pop("systems", ())
    )
    return _table(Dicom, "dicom", {**values, "systems": systems})


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
