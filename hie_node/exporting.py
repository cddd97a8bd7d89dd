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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    asked = ask_keepers(house)
    with house.storage.read() as unit:
        seals = [seal.signature for seal in unit.disclosures.seals() if isinstance(seal, Seal)]
        last = unit.disclosures.last_seal()
        size = last.size if last else 0
        rows = _lines(folder / "rows.jsonl", unit.disclosures.sealed_bodies(0, size))
        kept = list(_kept(unit, asked.kept))
    _lines(folder / "seals.jsonl", seals)
    _lines(folder / "kept.jsonl", (json.dumps(one) for one in kept))
    _json(folder / "keys.json", {"keys": list(house.keys.ever())})
    _json(folder / "peers.json", _keys_of_peers(house))
    about = {"home": str(house.home), "name": house.settings.name, "exported": house.now().isoformat(), "rows": rows}
    _json(folder / "about.json", about | {"seals": len(seals), "silent": list(asked.silent)})
    return Exported(rows, len(seals), len(kept))


def _kept(unit: UnitOfWork, heads: Iterable[KeptElsewhere]) -> Iterator[dict[str, Any]]:
    """What each keeper signed for last, and what it answered now: heads that bear our own signature."""
    for home, (_, cosignature) in unit.heads.keepers().items():
        yield {"keeper": home, "cosignature": cosignature}
    for one in heads:
        yield {"keeper": one.keeper, "size": one.head.size, "root": one.head.root, "head": one.signature}


def _keys_of_peers(house: House) -> dict[str, Any]:
    directory = house.directory.current()
    return {str(p.home): {"keys": list(directory.keys_of(p.home))} for p in directory.active if p.home != house.home}


def _lines(file: Path, lines: Iterable[str]) -> int:
    count = 0
    with file.open("x", encoding="utf-8", newline="\n") as out:
        for line in lines:
            out.write(line + "\n")
            count += 1
    return count


def _json(file: Path, document: Any) -> None:
    file.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")
