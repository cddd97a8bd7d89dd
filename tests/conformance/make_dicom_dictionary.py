"""Make `adapters/dicom/dictionary.txt` from the tables of pydicom: facts of DICOM PS3.6 and PS3.3 C.12.1.1.2.

    python -m tests.conformance.make_dicom_dictionary

A node reads four columns of these tables; importing the library for them costs most of its start and a third of its
memory, so they are kept as text: one line each, `tag VR keyword`, `mask VR keyword` for repeating groups,
`charset TERM CODEC`, `escape HEX CODEC HANDLED`, `image UID`.
"""

from __future__ import annotations

from pathlib import Path

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom._uid_dict import UID_dictionary
from pydicom.charset import CODES_TO_ENCODINGS, handled_encodings, python_encoding

TABLE = Path(__file__).parents[2] / "adapters" / "dicom" / "dictionary.txt"


def lines() -> list[str]:
    """Every line of the table, sorted within its kind."""
    tags = [f"tag {tag:08X} {row[0]} {row[4]}" for tag, row in sorted(DicomDictionary.items())]
    masks = [f"mask {mask} {row[0]} {row[4]}" for mask, row in sorted(RepeatersDictionary.items())]
    charsets = [f"charset|{term}|{codec}" for term, codec in sorted(python_encoding.items())]
    escapes = [
        f"escape {escape.hex()} {codec} {int(codec in handled_encodings)}"
        for escape, codec in sorted(CODES_TO_ENCODINGS.items())
    ]
    images = [f"image {uid}" for uid, row in sorted(UID_dictionary.items()) if "Image Storage" in row[0]]
    return [*tags, *masks, *charsets, *escapes, *images]


if __name__ == "__main__":
    TABLE.write_text("\n".join(lines()) + "\n", "utf-8")
