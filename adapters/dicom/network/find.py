"""C-FIND and the identifiers of C-MOVE and C-GET: what is asked, as a query; what was found, as a data set.

Sources: DICOM PS3.4: C.4.1 (C-FIND), C.4.2 and C.4.3 (C-MOVE, C-GET), C.6.1 and C.6.2 (patient and study root).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.dicom import dicom_json
from adapters.dicom.data_sets import UTF_8, read_data_set, write_data_set
from adapters.dicom.dicom_json import Json, attributes
from adapters.dicom.dictionary import IMPLICIT_LITTLE, keyword_of, value_representation
from adapters.dicom.elements import DataSet
from adapters.dicom.network.commands import Status
from adapters.dicom.network.errors import Refused
from adapters.dicom.network.services import PATIENT_ROOT
from adapters.dicom.queries import KEYS, LEVELS, Query, Row
from adapters.dicom.texts import Charset
from registry.errors import Unreadable

_LEVEL, _CHARSET = 0x00080052, 0x00080005
_NO_MATCH = frozenset({_LEVEL, _CHARSET, 0x00080054, 0x00080056, 0x00080201})
UNIQUE = {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}


@dataclass(frozen=True, slots=True)
class Identifier:
    """What a query says.

    returned  all its keys, by tag
    ignored   whether one of them has a value that is no condition here
    """

    query: Query
    returned: tuple[int, ...]
    ignored: bool = False

    @property
    def asked(self) -> Mapping[str, str]:
        return self.query.asked


def read_identifier(content: bytes, *, sop_class: str, transfer_syntax: str) -> Identifier:
    """Raises Refused: A900 where the keys do not fit the level, C000 where it cannot be read."""
    try:
        found, charset = read_data_set(content, transfer_syntax)
    except Unreadable as error:
        raise Refused(Status.CANNOT_UNDERSTAND, error.reason) from error
    level = _text(found, _LEVEL, charset)
    if level not in LEVELS or (level == "PATIENT" and sop_class not in PATIENT_ROOT):
        raise Refused(Status.DOES_NOT_MATCH, "no such query/retrieve level in this information model")
    asked, ignored = _keys(found, charset, level)
    above = LEVELS[LEVELS.index("PATIENT" if sop_class in PATIENT_ROOT else "STUDY") : LEVELS.index(level)]
    if any(UNIQUE[one] not in asked for one in above):
        raise Refused(Status.DOES_NOT_MATCH, "a unique key of a level above is missing")
    return Identifier(Query(level, asked), tuple(found.elements), ignored)


def _keys(found: DataSet, charset: Charset, level: str) -> tuple[dict[str, str], bool]:
    spoken = frozenset().union(*(KEYS[one] for one in LEVELS[: LEVELS.index(level) + 1]))
    asked: dict[str, str] = {}
    ignored = False
    for tag in found.elements.keys() - _NO_MATCH:
        value, keyword = _text(found, tag, charset), keyword_of(tag)
        if value in ("", "*") or not tag & 0xFFFF:
            continue
        if keyword in spoken:
            asked[keyword] = value
        else:
            ignored = True
    return asked, ignored


def _text(found: DataSet, tag: int, charset: Charset) -> str:
    return charset.text(found.bytes(tag)).strip()


def write_match(identifier: Identifier, row: Row, *, title: str, base: str, transfer_syntax: str) -> bytes:
    """One answer: every key that was asked for, empty where the index does not know it."""
    study, series, instance = row
    known = dicom_json.of_study(study, base)
    if series is not None:
        known = {**known, **dicom_json.of_series(study, series, base)}
    if series is not None and instance is not None:
        known = {**known, **dicom_json.of_instance(study, series, instance, base)}
    known |= attributes(RetrieveAETitle=title, QueryRetrieveLevel=identifier.query.level)
    shown: Json = {f"{tag:08X}": {"vr": _vr(tag)} for tag in identifier.returned if tag & 0xFFFF}
    shown = {tag: known.get(tag, empty) for tag, empty in shown.items() if tag != f"{_CHARSET:08X}"}
    for tag in (_LEVEL, 0x00080054):
        shown[f"{tag:08X}"] = known[f"{tag:08X}"]
    return write_data_set(shown, implicit=transfer_syntax == IMPLICIT_LITTLE)


def _vr(tag: int) -> str:
    return value_representation(tag)[:2]


def write_question(level: str, asked: Mapping[str, str], returned: tuple[str, ...], *, implicit: bool) -> bytes:
    """A query of ours: keys with their values, and those that are to come back."""
    said = attributes(QueryRetrieveLevel=level, **{**dict.fromkeys(returned, ""), **asked})
    return write_data_set({**said, f"{_CHARSET:08X}": UTF_8}, implicit=implicit)
