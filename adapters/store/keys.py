"""One key for each patient: to erase the key is to erase the contents, in backups too.

A key is 256 random bits, stored only as wrapped by the node's key-encryption key (AES-256-GCM, bound to its owner).
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import bindparam, delete, select

from adapters.store.rows import Part, insert_once
from adapters.store.schema import patient_key
from registry.errors import Gone, InvalidValue, StorageUnavailable

if TYPE_CHECKING:  # a unit of work holds the table of this file
    from adapters.store.unit import Storage, UnitOfWork

_KEPT = 1024
_WRAPPED = select(patient_key.c.wrapped).where(patient_key.c.owner == bindparam("owner"))


class WrappedKeys(Part):
    """The table of wrapped keys, inside a unit of work."""

    __slots__ = ()

    def wrapped(self, owner: str) -> bytes | None:
        row = self._connection.execute(_WRAPPED, {"owner": owner}).first()
        return None if row is None else bytes(row.wrapped)

    def add(self, owner: str, wrapped: bytes) -> bool:
        """False where the owner has a key already."""
        return insert_once(self._connection, patient_key, {"owner": owner, "wrapped": wrapped})

    def destroy(self, owner: str) -> None:
        self._connection.execute(delete(patient_key).where(patient_key.c.owner == owner))


@dataclass(frozen=True, slots=True)
class PatientKey:
    """The key of one patient. `id` tells which key sealed a content, without telling the key.

    wrapped  the form in which the table holds it: another key of the same owner has another
    """

    owner: str
    id: bytes
    cipher: AESGCM = field(repr=False)
    wrapped: bytes = field(repr=False)

    @staticmethod
    def of(owner: str, secret: bytes, wrapped: bytes) -> PatientKey:
        name = hashlib.sha256(b"hie-node content key id\0" + secret).digest()[:8]
        return PatientKey(owner, name, AESGCM(secret), wrapped)


class PatientKeys:
    """Keys by owner, made on first use in a small durable transaction of their own, before the first content."""

    def __init__(self, storage: Storage, key_encryption_key: bytes) -> None:
        if len(key_encryption_key) != 32:
            raise InvalidValue("key-encryption key", expected="32 bytes")
        self.storage, self._wrap = storage, AESGCM(key_encryption_key)
        self._kept: OrderedDict[str, PatientKey] = OrderedDict()
        self._lock = Lock()

    def within(self, unit: UnitOfWork, owner: str) -> PatientKey:
        """The key that the table holds, for what is written in the same unit; a new one where the owner has none."""
        known = self.standing(unit, owner)
        if known is not None:
            return known
        wrapped = self._new(owner)
        unit.wrapped_keys.add(owner, wrapped)
        return self._opened(owner, wrapped)

    def for_writing(self, owner: str) -> PatientKey:
        """The key that the table holds now, so that nothing is written under one that was just destroyed elsewhere."""
        known = self.now(owner)
        if known is not None:
            return known
        with self.storage.begin() as unit:
            unit.wrapped_keys.add(owner, self._new(owner))
        made = self.now(owner)  # another process may have been faster
        if made is None:
            raise StorageUnavailable("key of a patient", "it was destroyed in the same moment")
        return made

    def for_reading(self, owner: str, key_id: bytes) -> PatientKey:
        """The key with this id. Raises Gone when it was destroyed."""
        with self._lock:
            kept = self._kept.get(owner)
        if kept is not None and kept.id == key_id:
            return kept
        known = self.now(owner)
        if known is None or known.id != key_id:
            raise Gone("content")
        return known

    def standing(self, unit: UnitOfWork, owner: str) -> PatientKey | None:
        """The key that the unit sees."""
        wrapped = unit.wrapped_keys.wrapped(owner)
        return None if wrapped is None else self._opened(owner, wrapped)

    def let_go(self, owner: str) -> None:
        """Of a key that was destroyed: it is neither in memory nor in the log of the database any more."""
        with self._lock:
            self._kept.pop(owner, None)
        self.storage.flush()

    def now(self, owner: str) -> PatientKey | None:
        """The key that stands now, if there is one."""
        with self.storage.read() as unit:
            return self.standing(unit, owner)

    def _new(self, owner: str) -> bytes:
        """A new key, wrapped."""
        secret, nonce = AESGCM.generate_key(256), os.urandom(12)
        return nonce + self._wrap.encrypt(nonce, secret, owner.encode())

    def _opened(self, owner: str, wrapped: bytes) -> PatientKey:
        with self._lock:
            kept = self._kept.get(owner)
        if kept is not None and kept.wrapped == wrapped:
            return kept
        try:
            secret = self._wrap.decrypt(wrapped[:12], wrapped[12:], owner.encode())
        except InvalidTag:
            raise StorageUnavailable("key of a patient", "the node's key does not open it") from None
        key = PatientKey.of(owner, secret, wrapped)
        with self._lock:
            self._kept[owner] = key
            self._kept.move_to_end(owner)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return key
