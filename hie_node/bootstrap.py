"""Build every part of a node once, in order."""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from urllib3.util import make_headers

from adapters.dicom.archive import WebArchive
from adapters.peers.transport import PeerTransport
from adapters.store.contents import FolderContentStore
from adapters.store.engine import make_engine
from adapters.store.keys import PatientKeys
from adapters.store.migrations import current, expected
from adapters.store.unit import Storage
from adapters.trust.directory import LiveDirectory
from adapters.trust.files import read_private
from adapters.trust.keys import SigningKeys, key_encryption_key
from consent import closed_lists
from consent.closed_lists import ClosedLists
from consent.policy import VIET_NAM
from hie_node.dimse.archive import DimseArchive
from hie_node.house import House
from hie_node.lines import Lines
from hie_node.mappings import LiveMappings
from hie_node.quotas import Quotas
from hie_node.setting_tables import DicomSystem, Pacs, UnsafeSettings
from hie_node.settings import Settings
from registry import weights
from registry.blocking import KEYS_VERSION
from registry.code_maps import CodeMaps, read_map
from registry.errors import InvalidValue
from registry.matching import CorroboratedNumber
from registry.ports import Archive, Matcher
from registry.weighing import Weighing

MODEL_FILE = "matching_model.json"
CLOSED_LISTS = "closed_lists.json"


def build(settings: Settings) -> House:
    """A node ready to serve. Raises UnsafeSettings, or says which key or file is missing."""
    settings.check()
    # keys before the store: contents cannot be opened without them, and a node without keys must not start
    keys = SigningKeys.load(settings.keys, lab=settings.lab)
    kek = key_encryption_key(settings.keys, lab=settings.lab)
    engine = make_engine(settings.database_url)
    found = current(engine)
    if found != expected():
        raise UnsafeSettings(
            f"the database is at version {found or 'none'}, this program needs {expected()}; run: hie upgrade"
        )
    _check_index(Storage(engine))
    storage = Storage(engine)
    contents = FolderContentStore(settings.contents, PatientKeys(storage, kek))
    directory = LiveDirectory(settings.network)
    return House(
        settings=settings,
        storage=storage,
        contents=contents,
        keys=keys,
        directory=directory,
        transport=_transport(settings),
        matcher=_matcher(settings),
        # emergency access needs somebody who is told of it (Law 91/2025 Art. 19: the burden of proof is ours)
        policy=replace(
            VIET_NAM,
            emergency_access=bool(settings.data_protection_officer),
            honoured=frozenset(settings.honoured_requests),
        ),
        quotas=Quotas(storage, settings.limits),
        lines=Lines(settings.ahead, settings.run / "lines"),
        page_key=_derived(kek, b"page tokens"),
        archives={each.name: _archive(settings, each) for each in settings.pacs},
        mappings=LiveMappings(settings.home),
        code_maps=_code_maps(settings),
        closed_lists=_closed_lists(settings),
    )


def _check_index(storage: Storage) -> None:
    """Closed again: workers are forked from here, and a connection to SQLite that is carried over a fork makes the
    child believe in locks that it does not have, until its log is taken away from under it."""
    try:
        with storage.read() as unit:
            if unit.patients.keys_version() != KEYS_VERSION:
                raise UnsafeSettings("the index of patients is that of an older program; run: hie upgrade")
    finally:
        storage.close()


def model_of(settings: Settings) -> weights.Model:
    """The weights that this hospital trained (`hie mpi train`), else those that come with the program.

    Raises InvalidValue where they are for lists without twins: no patient is linked by those.
    """
    own = settings.home / MODEL_FILE
    found = weights.read(own.read_text("utf-8")) if own.exists() else weights.shipped()
    if found.strangers:
        raise InvalidValue(MODEL_FILE, expected="a model for patients; this one takes twins for one person")
    return found


def _matcher(settings: Settings) -> Matcher:
    """The matcher that weighs (docs/decisions/0010); a hospital may keep to shared numbers alone."""
    return CorroboratedNumber() if settings.strict_matching else Weighing(model_of(settings))


def _archive(settings: Settings, pacs: Pacs) -> Archive:
    if pacs.ae_title:
        return DimseArchive(settings, DicomSystem(pacs.ae_title, (), pacs.host, pacs.port))
    headers = {}
    if pacs.password_file:
        secret = read_private(settings.home / pacs.password_file, lab=settings.lab).decode().strip()
        headers = make_headers(basic_auth=secret)
    authority = str(settings.home / pacs.authority) if pacs.authority else None
    return WebArchive(pacs.url.rstrip("/"), settings.patient_id_system, headers, authority)


def _code_maps(settings: Settings) -> CodeMaps:
    """The hospital's own maps, each a file of its folder `codes`; a broken one is named instead of left out."""
    maps = []
    for file in sorted((settings.home / "codes").glob("*.json")):
        try:
            maps.append(read_map(file.read_text("utf-8")))
        except (InvalidValue, UnicodeDecodeError) as error:
            raise UnsafeSettings(f"{file}: {error}") from error
    return CodeMaps(tuple(maps))


def _closed_lists(settings: Settings) -> ClosedLists:
    """Those of the law, and what this hospital closes besides."""
    file = settings.home / CLOSED_LISTS
    if not file.exists():
        return closed_lists.shipped()
    try:
        own = closed_lists.read_lists(file.read_text("utf-8"))
    except (InvalidValue, UnicodeDecodeError) as error:
        raise UnsafeSettings(f"{file}: {error}") from error
    if own.tables or own.columns or own.routes or own.medicines:
        raise UnsafeSettings(f"{file}: expected codes and words; the other lists are the program's")
    return closed_lists.shipped().and_more(own)


def _transport(settings: Settings) -> PeerTransport:
    tls = settings.tls
    check_tls(settings)
    return PeerTransport(certificate=tls / "node.crt", key=tls / "node.key", authority=tls / "federation-ca.crt")


def check_tls(settings: Settings) -> None:
    """What both listeners need, named before one of them fails; a key that others can read is nobody's own."""
    for name in ("node.crt", "house.crt", "federation-ca.crt"):
        if not (settings.tls / name).is_file():
            raise UnsafeSettings(f"{settings.tls / name} is missing; `hie init` makes it")
    for name in ("node.key", "house.key"):
        read_private(settings.tls / name, lab=settings.lab)


def _derived(key: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"hie-node " + purpose).derive(key)
