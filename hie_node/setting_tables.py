"""The tables of `node.toml` beside [node]: one frozen class for each, with what it refuses.

Units and reasons stand with each field; all defaults are safe ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

HL7_AT_ONCE = 32
"""Lines of one worker: it is given all of them at its start, and what it may take of memory is for all of them."""
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
    peer_answer         bytes that a peer may answer to a search, or one page of it
    peer_entries        entries that a peer may list in answer to one question, on all its pages; a list has at most
                        four times the bytes of an answer. What is more is said to be there
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
    keep_dropped        days that a file stays in the drop folder's `done` or `rejected`
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
    peer_entries: int = 2000
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
    threads           messages worked on at once, those of one connection one after the other; at most 32
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
        if self.threads > HL7_AT_ONCE:
            raise UnsafeSettings(f"[mllp] threads: at most {HL7_AT_ONCE} messages are worked on at once")
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


def check_ae_title(setting: str, title: str) -> None:
    """Raise UnsafeSettings for a title that no association can carry. Source: DICOM PS3.5 6.2, AE."""
    plain = title.isascii() and title.isprintable() and "\\" not in title and title == title.strip()
    if not plain or not 0 < len(title) <= AE_TITLE:
        wanted = f"1 to {AE_TITLE} ASCII characters, no backslash, no space around them"
        raise UnsafeSettings(f"{setting}: expected {wanted}; found {title!r} ({len(title)} characters)")


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
        for system in self.systems:
            check_ae_title("[[dicom.systems]] ae_title", system.ae_title)
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

    url            of its DICOMweb service; empty for one that speaks only DIMSE (C-FIND, and C-GET or C-MOVE)
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
        if self.ae_title:
            check_ae_title(f"[[pacs]] {self.name} ae_title", self.ae_title)
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


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """Where systems of this hospital may have themselves told of what happens (FHIR Subscriptions).

    endpoints   `name` or `name:port` each (443 where none is said); `"*"`: any on the internet, never a private
                address that is not listed by its name. Empty: nobody is told, and no subscription is taken
    authority   PEM file of who signed the endpoints' certificates; empty: the authorities of this machine
    most        subscriptions of one system that are heard at once
    seconds     that an endpoint has to answer
    give_up     hours that an endpoint is tried again; then its subscription is in error, and `$events` tells the rest
    keep        days that what was told can be asked for again, and that a subscription in error is heard on
    """

    endpoints: tuple[str, ...] = ()
    authority: str = ""
    most: int = 200
    seconds: float = 10.0
    give_up: float = 24.0
    keep: int = 30

    def check(self) -> None:
        """Raise UnsafeSettings for what is no place."""
        for each in self.endpoints:
            host, _, port = each.partition(":")
            if each != "*" and (not host or "/" in each or (port and not port.isdigit())):
                raise UnsafeSettings(f'[subscriptions] endpoints: expected "name", "name:port" or "*", found {each}')


PEOPLES_ROLES = frozenset({"doctor", "nurse", "registrar", "consent-desk", "administrator", "data-protection-officer"})
