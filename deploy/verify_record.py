#!/usr/bin/env python3
"""Verify the exported record of disclosures of one hospital, without its node and without its help.

    python3 verify_record.py FOLDER [--kept FILE ...] [--key THUMBPRINT ...]

FOLDER is what `hie audit export --out FOLDER` wrote. It needs Python 3.9 and the library `cryptography`, no network.

--kept FILE   heads of that record as another hospital gave them to you (`hie audit heads FACILITY --json`), for the
              case that this hospital left some out of the folder
--key TEXT    SHA-256 thumbprint (RFC 7638) of a signing key that you know to be this hospital's, from another source;
              every key that signed must then be among those named

What it finds: any row edited, deleted, inserted, moved; any end cut off, as far as somebody else keeps a head of it.
Exit code 0: nothing found; 1: something is wrong; 2: the folder cannot be read.
Sources: RFC 6962 section 2.1 (tree), RFC 7515 and RFC 7518 (signatures), RFC 7638 (thumbprints).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

HEAD, COSIGNATURE = "hie-seal+jwt", "hie-cosignature+jwt"


def unpacked(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def thumbprint(jwk):
    """RFC 7638, hex."""
    needed = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return hashlib.sha256(json.dumps(needed, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def opened(jws, keys, kind):
    """The claims of a signed thing; ValueError unless one of these keys signed it."""
    first, payload, last = jws.split(".")
    header = json.loads(unpacked(first))
    if header.get("alg") != "ES256" or header.get("typ") != kind:
        raise ValueError("another kind of signature")
    jwk = next((key for key in keys if key.get("kid") == header.get("kid")), None)
    if jwk is None:
        raise ValueError("signed with a key that is not theirs")
    x, y = (int.from_bytes(unpacked(jwk[name]), "big") for name in "xy")
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    raw = unpacked(last)
    signature = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    try:
        public.verify(signature, f"{first}.{payload}".encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise ValueError("the signature does not fit") from None
    return json.loads(unpacked(payload))


class Tree:
    """A Merkle tree by the roots of its complete subtrees, largest first."""

    def __init__(self):
        self.size, self.roots = 0, []

    def add(self, row):
        node, carry = hashlib.sha256(b"\x00" + row).digest(), self.size
        while carry & 1:
            node = hashlib.sha256(b"\x01" + self.roots.pop() + node).digest()
            carry >>= 1
        self.roots.append(node)
        self.size += 1

    def root(self):
        if not self.roots:
            return hashlib.sha256(b"").hexdigest()
        head = self.roots[-1]
        for root in reversed(self.roots[:-1]):
            head = hashlib.sha256(b"\x01" + root + head).digest()
        return head.hex()


def lines_of(file):
    """Without their ends: a row is the very bytes that were sealed."""
    with file.open("rb") as content:
        for line in content:
            yield line.rstrip(b"\n")


def heads_told(folder, home, keys, others):
    """(who, size, root) of each head that must be in the record; a text for each that is not signed as it should."""
    told, wrong, before = [], [], None
    for number, line in enumerate(lines_of(folder / "seals.jsonl"), 1):
        try:
            claims = opened(line.decode(), keys, HEAD)
        except ValueError as error:
            wrong.append(f"seal {number}: {error}")
            continue
        if claims["iss"] != home:
            wrong.append(f"seal {number}: of another hospital")
        if before is not None and (claims["size"] <= before["size"] or claims["sealed"] < before["sealed"]):
            wrong.append(f"seal {number}: older than the one before it")
        before = claims
        told.append((f"seal {number}", claims["size"], claims["root"]))
    kept = [json.loads(line) for file in (folder / "kept.jsonl", *others) for line in lines_of(file) if line.strip()]
    peers = json.loads((folder / "peers.json").read_text("utf-8"))
    for one in kept:
        who = f"kept by {one['keeper']}"
        try:
            if "cosignature" in one:
                signers = peers.get(one["keeper"], {}).get("keys", [])
                claims = opened(one["cosignature"], signers, COSIGNATURE)
                if (claims["iss"], claims["sub"]) != (one["keeper"], home):
                    raise ValueError("of other hospitals")
            else:
                claims = opened(one["head"], keys, HEAD)
        except ValueError as error:
            wrong.append(f"{who}: {error}")
            continue
        told.append((who, claims["size"], claims["root"]))
    return told, wrong


def verify(folder, others=(), trusted=()):
    """Everything that is wrong, and how many rows there are."""
    about = json.loads((folder / "about.json").read_text("utf-8"))
    keys = json.loads((folder / "keys.json").read_text("utf-8"))["keys"]
    told, wrong = heads_told(folder, about["home"], keys, others)
    if trusted:
        wrong += [f"key {thumbprint(key)} is none of those named" for key in keys if thumbprint(key) not in trusted]
    wanted = {}
    for who, size, root in told:
        wanted.setdefault(size, []).append((who, root))
    tree = Tree()
    wrong += check(tree, wanted)
    for row in lines_of(folder / "rows.jsonl"):
        tree.add(row)
        wrong += check(tree, wanted)
    for size, heads in sorted(wanted.items()):
        wrong += [f"{who}: a head over {size} rows, and only {tree.size} are here" for who, _ in heads]
    sealed = max((size for who, size, _ in told if who.startswith("seal")), default=0)
    if tree.size > sealed:
        wrong.append(f"{tree.size - sealed} rows behind the last seal: nobody signed for them")
    return wrong, tree.size, len(told)


def check(tree, wanted):
    """What those say who signed for a record of just this size."""
    if tree.size not in wanted:
        return []
    root = tree.root()
    heads = wanted.pop(tree.size)
    text = f"the first {tree.size} rows are not those that it stands for"
    return [f"{who}: {text}" for who, told in heads if told != root]


def main():
    parser = argparse.ArgumentParser(description="Verify an exported record of disclosures.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kept", type=Path, action="append", default=[])
    parser.add_argument("--key", action="append", default=[])
    chosen = parser.parse_args()
    try:
        wrong, rows, heads = verify(chosen.folder, chosen.kept, chosen.key)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"cannot be read: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(f"{rows} rows held against {heads} signed heads")
    for text in wrong:
        print(f"FOUND: {text}")
    print("something is wrong" if wrong else "intact")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
