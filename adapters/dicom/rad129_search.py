"""RAD-129, QIDO-RS: which studies there are, and their series and instances.

Every parameter is understood or refused: a filter that is passed over in silence shows another patient's study.

Source: IHE RAD TF-2: 4.129; DICOM PS3.18: 10.6 (search), 8.3.4 (query parameters), PS3.4: C.2.2.2 (matching).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from adapters.dicom import dicom_json, native_xml
from adapters.dicom.dicom_json import Json
from adapters.dicom.dictionary import keyword_of, tag_of
from adapters.dicom.errors import BadParameter, problem
from adapters.dicom.multipart import Writer
from adapters.dicom.negotiation import takes_xml
from adapters.dicom.queries import KEYS, LISTS, Query, Row
from adapters.transactions import EVERYWHERE, Transaction
from adapters.wire import Pairs, WireRequest, WireResponse
from registry.answers import OutcomeKind
from registry.commands import FindStudies, Page
from registry.errors import NotFound
from registry.identifiers import check_uid
from registry.studies import Study

DEFAULT_LIMIT = 50
LIMIT = 1_000
OFFSET_LIMIT = 10_000

_LEVELS = {"studies": "STUDY", "series": "SERIES", "instances": "IMAGE"}
_CONTROLS = frozenset({"limit", "offset", "includefield", "fuzzymatching"})
_TAG = re.compile(r"[0-9a-fA-F]{8}")


def decode(request: WireRequest) -> FindStudies:
    """Raises BadParameter for what is unknown, malformed or given twice."""
    takes_xml(request)
    offset, limit = _window(request)
    # a number without its authority means another patient at each hospital; only at home there is no doubt
    own = request.patient_id_system if request.door != "peer" else ""
    search = _query(request).search(own, limit=max(1, offset + limit))
    return FindStudies(search if limit else replace(search, count_only=True))


def encode(page: Page[Study], request: WireRequest) -> WireResponse:
    """200 with what was found, 204 where that is nothing; what is missing is said in Warning headers."""
    offset, limit = _window(request)
    query = _query(request)
    rows = [row for study in page.items for row in query.rows(study)]
    if "study" in request.params and not (page.items or page.total or page.outcomes or page.withheld):
        raise NotFound("study")
    shown = rows[offset : offset + limit]
    headers: Pairs = (("Cache-Control", "no-store"), *_warnings(page, request, len(rows) - offset - len(shown)))
    if not shown:
        return WireResponse(204, headers)
    extra = _included(request)
    found = [_answer(row, request, extra) for row in shown]
    if takes_xml(request):
        writer = Writer(native_xml.MEDIA_TYPE)
        body = b"".join(writer.body(native_xml.parts(iter(found))))
        return WireResponse(200, (("Content-Type", writer.content_type), *headers), body)
    return WireResponse(200, (("Content-Type", dicom_json.MEDIA_TYPE), *headers), dicom_json.dumped(found))


def _query(request: WireRequest) -> Query:
    """Keys of the URL's path and of its parameters together."""
    asked = _asked(request)
    for name, keyword in (("study", "StudyInstanceUID"), ("series", "SeriesInstanceUID")):
        if name in request.params:
            asked[keyword] = check_uid(request.params[name], keyword)
    return Query(_level(request), asked)


def _level(request: WireRequest) -> str:
    return _LEVELS[request.path.rstrip("/").rsplit("/", 1)[-1]]


def _levels_asked(request: WireRequest) -> tuple[str, ...]:
    """The levels that parameters may speak of: those above the asked one too, as far as the path leaves them open."""
    levels = tuple(_LEVELS.values())
    return levels[("study" in request.params) + ("series" in request.params) : levels.index(_level(request)) + 1]


def _asked(request: WireRequest) -> dict[str, str]:
    """Matching keys by keyword. Universal matching (an empty value) asks for nothing and is no condition."""
    keys = frozenset().union(*(KEYS[level] for level in _levels_asked(request)))
    found: dict[str, str] = {}
    for name, value in request.query:
        if name in _CONTROLS:
            _check_control(name, value)
            continue
        keyword = keyword_of(int(name, 16)) if _TAG.fullmatch(name) else name
        if keyword not in keys:
            raise BadParameter(name, "not a key that this level can be searched by")
        if keyword in found and keyword not in LISTS:
            raise BadParameter(name, "given twice")
        if len(value) > 4096 or not value.isprintable():
            raise BadParameter(name, "too long or not printable")
        found[keyword] = ",".join(each for each in (found.get(keyword, ""), value.strip()) if each)
    return {keyword: value for keyword, value in found.items() if value not in ("", "*")}


def _check_control(name: str, value: str) -> None:
    if name == "fuzzymatching" and value not in ("true", "false"):
        raise BadParameter(name, "expected true or false")
    if name == "includefield":
        for field in value.split(","):
            # a path leads into sequences, of which the index keeps none
            if field != "all" and not all(_TAG.fullmatch(one) or tag_of(one) for one in field.split(".")):
                raise BadParameter(name, "expected tags, keywords, paths of them, or all")


def _window(request: WireRequest) -> tuple[int, int]:
    """Offset and limit; with a limit of 0 there is nothing in the answer but what its headers say (PS3.18: 8.3.4.4)."""
    given: dict[str, int] = {}
    for name, value in request.query:
        if name in ("offset", "limit"):
            if name in given:
                raise BadParameter(name, "given twice")
            if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
                raise BadParameter(name, "expected a whole number")
            given[name] = int(value)
    offset = given.get("offset", 0)
    if offset > OFFSET_LIMIT:
        raise BadParameter("offset", f"at most {OFFSET_LIMIT}; narrow the search instead")
    return offset, min(given.get("limit", DEFAULT_LIMIT), LIMIT)


def _included(request: WireRequest) -> frozenset[str]:
    """The attributes that `includefield` names, as tags."""
    named = [field for name, value in request.query if name == "includefield" for field in value.split(",")]
    named = [field for field in named if field != "all" and "." not in field]
    tags = (int(field, 16) if _TAG.fullmatch(field) else tag_of(field) for field in named)
    return frozenset(f"{tag:08X}" for tag in tags if tag is not None)


def _answer(row: Row, request: WireRequest, extra: frozenset[str]) -> Json:
    """The row's own attributes, those of the levels above that the path leaves open, and what else was asked for."""
    study, series, instance = row
    levels = [dicom_json.of_study(study, request.base)]
    if series is not None:
        levels.append(dicom_json.of_series(study, series, request.base))
    if series is not None and instance is not None:
        levels.append(dicom_json.of_instance(study, series, instance, request.base))
    fixed = ("study" in request.params) + ("series" in request.params)
    found: Json = {}
    for place, level in enumerate(levels):
        own = place >= min(fixed, len(levels) - 1)
        found |= {tag: said for tag, said in level.items() if own or tag in extra}
    return dict(sorted(found.items()))


def _warnings(page: Page[Study], request: WireRequest, more: int) -> Iterator[tuple[str, str]]:
    texts = []
    if page.total is not None:
        more = max(more, page.total - sum(_window(request)))
    if more > 0 or page.next is not None:
        # without a look at the studies nobody knows how many series they have
        is_counted = more > 0 and (_window(request)[1] > 0 or _level(request) == "STUDY")
        number = f"are {more}" if is_counted else "are"
        texts.append(f"There {number} additional results that can be requested")
    if ("fuzzymatching", "true") in request.query:
        texts.append("The fuzzymatching parameter is not supported. Only literal matching has been performed.")
    if page.withheld:
        texts.append("Nothing can be shown without the patient's request")
    if page.not_unique:
        texts.append("More than one patient matches: ask for one more detail")
    if page.unasked:
        texts.append(f"Other hospitals not asked, where the patient is not known to have been: {page.unasked}")
    for outcome in page.outcomes:
        if outcome.kind is not OutcomeKind.ANSWERED:
            texts.append(f"{outcome.community.facility}: {outcome.kind}")
    return (("Warning", f'299 {request.base} "{text}"') for text in texts)


def _transaction(path: str, title: str) -> Transaction:
    return Transaction(
        name="RAD-129",
        title=title,
        source="IHE RAD TF-2: 4.129, DICOM PS3.18: 10.6",
        route=("GET", path),
        command=FindStudies,
        decode=decode,
        encode=encode,
        error=problem,
        scope=("ImagingStudy", "s"),
        doors=EVERYWHERE,
        family="dicomweb",
    )


TRANSACTION = _transaction("/studies", "Search for studies")
TRANSACTIONS = (
    TRANSACTION,
    _transaction("/series", "Search for series"),
    _transaction("/instances", "Search for instances"),
    _transaction("/studies/<study>/series", "Search for the series of a study"),
    _transaction("/studies/<study>/instances", "Search for the instances of a study"),
    _transaction("/studies/<study>/series/<series>/instances", "Search for the instances of a series"),
)
