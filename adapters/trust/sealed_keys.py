"""The keys of a node in one file that only a passphrase opens, for a backup that leaves the machine.

scrypt makes the key from the passphrase (RFC 7914; N = 2^17, r = 8, p = 1: 128 MB and a good part of a second a try),
AES-256-GCM seals a tar of the files (NIST SP 800-38D). The head of the file says both, and is authenticated too.
"""

from __future__ import annotations

import io
import os
from pathlib import Path, PurePosixPath

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from adapters.trust.errors import KeyUnusable
from adapters.trust.files import write_whole

MAGIC = b"hie-node keys 1\n"
SHORTEST_PASSPHRASE = 14
_N, _SALT, _NONCE = 1 << 17, 16, 12
LARGEST = 1 << 20


def seal_files(files: dict[str, bytes], passphrase: str, target: Path) -> None:
    """Write these files, by the name under which they come back, as one sealed file."""
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise KeyUnusable(target, f"the passphrase needs at least {SHORTEST_PASSPHRASE} characters")
    import tarfile  # large, and keys are seldom packed

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o600
            tar.addfile(info, io.BytesIO(content))
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    sealed = AESGCM(_key(passphrase, salt)).encrypt(nonce, packed.getvalue(), MAGIC + salt)
    write_whole(target, MAGIC + salt + nonce + sealed)


def open_files(source: Path, passphrase: str) -> dict[str, bytes]:
    """The files again; raises KeyUnusable for another passphrase or a file that was changed."""
    content = source.read_bytes()
    head = len(MAGIC)
    if len(content) > LARGEST or not content.startswith(MAGIC):
        raise KeyUnusable(source, "not a file of keys")
    salt, nonce = content[head : head + _SALT], content[head + _SALT : head + _SALT + _NONCE]
    try:
        packed = AESGCM(_key(passphrase, salt)).decrypt(nonce, content[head + _SALT + _NONCE :], MAGIC + salt)
    except (InvalidTag, ValueError) as error:
        raise KeyUnusable(source, "another passphrase, or the file was changed") from error
    import tarfile

    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is None or PurePosixPath(member.name).is_absolute() or ".." in member.name:
                raise KeyUnusable(source, "holds what is no key")
            found[member.name] = file.read()
    return found


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt, 32, _N, 8, 1).derive(passphrase.encode())
