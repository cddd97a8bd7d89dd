"""The record for an authority: rows, seals, keys, and what other hospitals hold of it, to be verified without us.

rows.jsonl   each line is one row, byte for byte as it was sealed, in its order
seals.jsonl  each line is one signed head (JWS)
keys.json    the public keys of this hospital that ever signed (JWK set)
kept.jsonl   heads of this record that other hospitals signed for: keeper, head, cosignature
peers.json   the public keys of those hospitals, as our directory has them
about.json   whose record, when, how many
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from adapters.store.unit import UnitOfWork
from consent.ports import Seal
from hie_node.flows.heads import KeptElsewhere, ask_keepers
from hie_node.house import House


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    rows: int
    seals: int
    kept: int


def export_record(house: House, folder: Path) -> Exported:
    """Into a folder that is not there yet, readable by this user only. It holds who saw whom: treat it like records."""
    folder.mkdir(mode=0o700, parents=True)
    counted = Counter[str]()
    for name, lines in _files(house, counted):
        with (folder / name).open("x", encoding="utf-8", newline="\n") as out:
            out.writelines(lines)
    return Exported(counted["rows"], counted["seals"], counted["kept"])


def record_as_zip(house: House) -> Iterator[bytes]:
    """The same files as one ZIP, piece by piece: a record of any size goes through without standing anywhere."""
    pipe = _Pipe()
    with ZipFile(pipe, "w", ZIP_DEFLATED) as archive:
        for name, lines in _files(house, Counter()):
            left = iter(lines)
            with archive.open(name, "w", force_zip64=True) as out:
                while some := "".join(islice(left, 500)):
                    out.write(some.encode())
                    yield pipe.taken()
    yield pipe.taken()


class _Pipe:
    """What was written and not taken yet."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _files(house: House, counted: Counter[str]) -> Iterator[tuple[str, Iterable[str]]]:
    """Each file with its lines, to be read in this order."""
    asked = ask_keepers(house)
    with house.storage.read() as unit:
        seals = [seal.signature for seal in unit.disclosures.seals() if isinstance(seal, Seal)]
        last = unit.disclosures.last_seal()
        yield "rows.jsonl", _lines(unit.disclosures.sealed_bodies(0, last.size if last else 0), counted, "rows")
        kept = [json.dumps(one) for one in _kept(unit, asked.kept)]
    yield "seals.jsonl", _lines(seals, counted, "seals")
    yield "kept.jsonl", _lines(kept, counted, "kept")
    yield "keys.json", _document({"keys": list(house.keys.ever())})
    yield "peers.json", _document(_keys_of_peers(house))
    about = {"home": str(house.home), "name": house.settings.name, "exported": house.now().isoformat()}
    yield (
        "about.json",
        _document(about | {"rows": counted["rows"], "seals": len(seals), "silent": list(asked.silent)}),
    )


def _kept(unit: UnitOfWork, heads: Iterable[KeptElsewhere]) -> Iterator[dict[str, Any]]:
    """What each keeper signed for last, and what it answered now: heads that bear our own signature."""
    for home, (_, cosignature) in unit.heads.keepers().items():
        yield {"keeper": home, "cosignature": cosignature}
    for one in heads:
        yield {"keeper": one.keeper, "size": one.head.size, "root": one.head.root, "head": one.signature}


def _keys_of_peers(house: House) -> dict[str, Any]:
    directory = house.directory.current()
    return {str(p.home): {"keys": list(directory.keys_of(p.home))} for p in directory.active if p.home != house.home}


def _lines(lines: Iterable[str], counted: Counter[str], name: str) -> Iterator[str]:
    for line in lines:
        counted[name] += 1
        yield line + "\n"


def _document(document: Any) -> tuple[str]:
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n",)
