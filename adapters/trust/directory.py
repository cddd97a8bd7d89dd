"""The list of peers on this node's disk: one signed by the federation, one kept by hand, or both.

    directory-root.json   whom this node believes: keys of the signers and how many must agree; placed by the operator
    directory.json        {"signed": {...}, "signatures": [{"keyid", "sig"}]}; may come from anywhere
    directory-seen.json   the highest version followed so far, so that an older list is never followed again
    peers.json            {"peers": [...]}, unsigned: only the operator of this node can write it

Where both name a hospital, the hand-kept entry counts, but never with more rights than the signed one leaves it.
Source: The Update Framework 1.0.34, sections 4.2 (form), 5.4 (threshold, rollback, expiry).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.trust.errors import DirectoryRefused
from adapters.trust.files import Stamp, stamp, write_whole
from adapters.trust.jwk import Jwk, base64url, from_base64url, public_jwk, read_jwk
from adapters.trust.keys import SigningKey
from adapters.trust.strict_json import NotStrictJson, canonical, read_object
from consent.errors import TokenRefused
from registry.answers import Community
from registry.directory import Directory, Peer, PeerState
from registry.errors import InvalidValue
from registry.identifiers import FacilityCode, HomeCommunityId

ROOT, LIST, SEEN, BY_HAND = "directory-root.json", "directory.json", "directory-seen.json", "peers.json"
WARN_BEFORE = timedelta(days=30)
LARGEST_LIST = 32 * 1024 * 1024
_KIND = "hie-directory"
_SIGNATURE = ec.ECDSA(hashes.SHA256())
_ENTRY = frozenset({"home", "facility", "name", "peer_url", "jwks", "thumbprints", "speaks", "state", "paths"})
_ENTRY |= {"defers"}


def load(folder: Path, *, now: datetime) -> Directory:
    """The peers of this node; raises DirectoryRefused when a list that is there must not be followed."""
    signed = _read_signed(folder, now=now) if (folder / LIST).exists() else None
    by_hand = _read_by_hand(folder / BY_HAND) if (folder / BY_HAND).exists() else ()
    return _joined(signed, by_hand)


class LiveDirectory:
    """The directory as it stands on disk now; a refused replacement changes nothing and is told in `warnings`.

    A signed list that has ended is not followed any longer; what is kept by hand stays.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._folder, self._clock, self._lock = folder, clock, Lock()
        self._files = tuple(folder / name for name in (ROOT, LIST, BY_HAND))
        self._seen: Stamp | None = None
        self._signed: Directory | None = None
        self._by_hand: tuple[Peer, ...] = ()
        self._joined = Directory(0, None, ())
        self._troubles: tuple[str, ...] = ()

    def current(self) -> Directory:
        """What to follow now; costs three `stat` calls when nothing has changed."""
        with self._lock:
            seen = stamp(self._files)
            ended = self._signed is not None and _ended(self._signed, self._clock())
            if seen != self._seen or ended:
                self._reload(self._clock())
                self._seen = seen
            return self._joined

    def warnings(self) -> tuple[str, ...]:
        """What an administrator should look at: a refused list, an end that is near."""
        expires = self.current().expires
        left = expires - self._clock() if expires else WARN_BEFORE
        near = (f"the directory of peers ends in {left.days} days",) if left < WARN_BEFORE else ()
        return self._troubles + near

    def _reload(self, now: datetime) -> None:
        troubles = []
        if self._signed is not None and _ended(self._signed, now):
            self._signed = None
        try:
            self._signed = _read_signed(self._folder, now=now) if self._files[1].exists() else None
        except DirectoryRefused as refused:
            troubles.append(str(refused))
        try:
            self._by_hand = _read_by_hand(self._files[2]) if self._files[2].exists() else ()
        except DirectoryRefused as refused:
            troubles.append(str(refused))
        try:
            self._joined = _joined(self._signed, self._by_hand)
        except DirectoryRefused as refused:
            self._joined = self._signed or Directory(0, None, ())
            troubles.append(str(refused))
        self._troubles = tuple(troubles)


def sign_list(peers: Sequence[Peer], *, version: int, expires: datetime, signers: Sequence[SigningKey]) -> bytes:
    """A signed list as it is handed to the nodes; more signers can add theirs with `add_signature`."""
    signed = {
        "_type": _KIND,
        "version": version,
        "expires": expires.isoformat(),
        "peers": [entry_of(peer) for peer in peers],
    }
    document = orjson.dumps({"signed": signed, "signatures": []})
    for signer in signers:
        document = add_signature(document, signer)
    return document


def add_signature(document: bytes, signer: SigningKey) -> bytes:
    """The same list with one signature more."""
    found = read_object(document, limit=LARGEST_LIST)
    sig = base64url(signer.key.sign(canonical(found["signed"]), _SIGNATURE))
    found["signatures"].append({"keyid": signer.kid, "sig": sig})
    return orjson.dumps(found, option=orjson.OPT_INDENT_2)


def write_root(folder: Path, signers: Sequence[Jwk], *, threshold: int) -> None:
    """Say whom this node believes; replaces what it believed before."""
    write_whole(folder / ROOT, orjson.dumps({"keys": [dict(jwk) for jwk in signers], "threshold": threshold}))


def write_by_hand(folder: Path, peers: Sequence[Peer]) -> None:
    """Replace the hand-kept list."""
    content = {"peers": [entry_of(peer) for peer in peers]}
    write_whole(folder / BY_HAND, orjson.dumps(content, option=orjson.OPT_INDENT_2))


def entry_of(peer: Peer) -> dict[str, Any]:
    """A peer as both lists spell it."""
    return {
        "home": str(peer.home),
        "facility": str(peer.community.facility),
        "name": peer.community.name,
        "peer_url": peer.peer_url,
        "jwks": {"keys": [dict(jwk) for jwk in peer.jwks]},
        "thumbprints": sorted(peer.thumbprints),
        "speaks": sorted(peer.speaks),
        **({"paths": dict(peer.paths)} if peer.paths else {}),
        **({"defers": True} if peer.defers else {}),
        "state": peer.state.value,
    }


def _read_signed(folder: Path, *, now: datetime) -> Directory:
    document = _object(folder / LIST)
    keys, threshold = _root(folder / ROOT)
    signed = document.get("signed")
    if not isinstance(signed, dict) or signed.get("_type") != _KIND:
        raise DirectoryRefused("not a directory of peers")
    _check_signatures(signed, document.get("signatures"), keys, threshold)
    directory = _directory(signed)
    if _ended(directory, now):
        raise DirectoryRefused("its term has ended")
    _check_rollback(folder / SEEN, directory.version)
    return directory


def _root(path: Path) -> tuple[Mapping[str, ec.EllipticCurvePublicKey], int]:
    root = _object(path)
    try:
        # by thumbprint, not by the name it was given: one key under two names is still one signer
        found = [read_jwk(jwk).key for jwk in root["keys"]]
        keys = {public_jwk(key)["kid"]: key for key in found if isinstance(key, ec.EllipticCurvePublicKey)}
        threshold = root["threshold"]
    except (TokenRefused, KeyError, TypeError, AttributeError) as error:
        raise DirectoryRefused("the root file holds no usable keys") from error
    if not isinstance(threshold, int) or isinstance(threshold, bool) or not 1 <= threshold <= len(keys):
        raise DirectoryRefused("the threshold of the root file cannot be met")
    return keys, threshold


def _check_signatures(
    signed: Any, signatures: Any, keys: Mapping[str, ec.EllipticCurvePublicKey], threshold: int
) -> None:
    if not isinstance(signatures, list) or not all(isinstance(one, dict) for one in signatures):
        raise DirectoryRefused("no signatures")
    names = [str(one.get("keyid")) for one in signatures]
    if len(set(names)) != len(names):
        raise DirectoryRefused("one signer signed twice")
    if not set(names) <= keys.keys():
        raise DirectoryRefused("a signer is unknown")
    if len(names) < threshold:
        raise DirectoryRefused(f"{len(names)} signatures, {threshold} are needed")
    try:
        content = canonical(signed)
        for one in signatures:
            keys[one["keyid"]].verify(from_base64url(one["sig"]), content, _SIGNATURE)
    except (InvalidSignature, KeyError, TypeError, ValueError) as error:
        raise DirectoryRefused("a signature does not hold") from error


def _check_rollback(path: Path, version: int) -> None:
    seen = _object(path).get("version") if path.exists() else 0
    if not isinstance(seen, int) or version < seen:
        raise DirectoryRefused(f"version {version} is older than {seen}")
    if version > seen:
        write_whole(path, orjson.dumps({"version": version}))


def _directory(signed: Mapping[str, Any]) -> Directory:
    version, peers = signed.get("version"), signed.get("peers")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DirectoryRefused("no version")
    try:
        expires = datetime.fromisoformat(signed["expires"])
    except (KeyError, TypeError, ValueError) as error:
        raise DirectoryRefused("no end of its term") from error
    if expires.tzinfo is None:
        raise DirectoryRefused("no end of its term")
    return _checked(version, expires, _peers(peers))


def _read_by_hand(path: Path) -> tuple[Peer, ...]:
    if path.stat().st_mode & 0o022:
        raise DirectoryRefused(f"{path.name} can be written by others")
    return _checked(0, None, _peers(_object(path).get("peers"))).peers


def _joined(signed: Directory | None, by_hand: tuple[Peer, ...]) -> Directory:
    if signed is None:
        return _checked(0, None, by_hand)
    listed = {peer.home: peer for peer in signed.peers}
    kept = {peer.home: _restrained(peer, listed.get(peer.home)) for peer in by_hand}
    return _checked(signed.version, signed.expires, tuple((listed | kept).values()))


def _restrained(peer: Peer, listed: Peer | None) -> Peer:
    return replace(peer, state=peer.stricter_state(listed)) if listed else peer


def _checked(version: int, expires: datetime | None, peers: tuple[Peer, ...]) -> Directory:
    try:
        return Directory(version, expires, peers)
    except InvalidValue as error:
        raise DirectoryRefused(str(error)) from error


def read_entry(entry: Any) -> Peer:
    """One entry as another hospital exported it; raises DirectoryRefused."""
    return _peer(entry, 1)


def _peers(entries: Any) -> tuple[Peer, ...]:
    if not isinstance(entries, list):
        raise DirectoryRefused("no list of peers")
    return tuple(_peer(entry, number) for number, entry in enumerate(entries, 1))


def _peer(entry: Any, number: int) -> Peer:
    """One entry. Names that are not known are refused: a restriction that is not understood must not be dropped."""
    try:
        if entry.keys() - _ENTRY:
            raise ValueError("unknown name")
        jwks = tuple(entry["jwks"]["keys"])
        speaks = frozenset(map(str, entry.get("speaks", ("fhir",))))
        # a gateway that speaks SOAP alone signs assertions, and may do so with any key that is strong enough
        algorithms = {"ES256"} if "fhir" in speaks else {"ES256", "ES384", "RS384"}
        if not all(read_jwk(jwk).algorithm in algorithms and jwk.get("kid") for jwk in jwks):
            raise ValueError("key")
        return Peer(
            Community(HomeCommunityId(entry["home"]), FacilityCode(entry["facility"]), str(entry["name"])[:200]),
            entry["peer_url"],
            jwks,
            frozenset(map(str, entry.get("thumbprints", ()))),
            speaks,
            PeerState(entry.get("state", "active")),
            {str(name): str(path) for name, path in entry.get("paths", {}).items()},
            {True: True, False: False}[entry.get("defers", False)],
        )
    except (InvalidValue, TokenRefused, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DirectoryRefused(f"entry {number} is not a peer: {error}") from error


def _object(path: Path) -> dict[str, Any]:
    try:
        return read_object(path.read_bytes(), limit=LARGEST_LIST)
    except FileNotFoundError as error:
        raise DirectoryRefused(f"{path.name} is missing") from error
    except NotStrictJson as error:
        raise DirectoryRefused(f"{path.name}: {error.reason}") from error


def _ended(directory: Directory, now: datetime) -> bool:
    return directory.expires is not None and now >= directory.expires
