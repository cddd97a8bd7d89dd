"""RAD-129, QIDO-RS: which studies there are, and their series and instances.

Every parameter is understood or refused: a filter that is passed over in silence shows another patient's study.

Source: IHE RAD TF-2: 4.129; DICOM PS3.18: 10.6 (search), 8.3.4 (query parameters), PS3.4: C.2.2.2 (matching).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Any

from adapters.dicom import dicom_json
from adapters.dicom.dicom_json import Json
from adapters.dicom.dictionary import keyword_of, tag_of
from adapters.dicom.errors import BadParameter, problem
from adapters.dicom.header_values import issuer_system
from adapters.dicom.matching import Matches, date_range, like, name_like, time_range
from adapters.dicom.negotiation import accepted
from adapters.transactions import EVERYWHERE, Transaction
from adapters.wire import Pairs, WireRequest, WireResponse
from registry.answers import OutcomeKind
from registry.commands import FindStudies, Page
from registry.errors import InvalidValue, NotFound
from registry.identifiers import PatientIdentifier, check_uid
from registry.people import PatientInQuestion
from registry.searches import ANYBODY, PatientSelector, StudySearch
from registry.studies import Instance, Series, Study

DEFAULT_LIMIT = 50
LIMIT = 1_000
OFFSET_LIMIT = 10_000

_STUDY_KEYS = frozenset(
    {
        "PatientID",
        "IssuerOfPatientID",
        "PatientName",
        "StudyInstanceUID",
        "StudyID",
        "StudyDate",
        "StudyTime",
        "StudyDescription",
        "ModalitiesInStudy",
        "AccessionNumber",
        "ReferringPhysicianName",
    }
)
_SERIES_KEYS = frozenset({"SeriesInstanceUID", "Modality", "SeriesNumber"})
_INSTANCE_KEYS = frozenset({"SOPInstanceUID", "SOPClassUID", "InstanceNumber"})
_CONTROLS = frozenset({"limit", "offset", "includefield", "fuzzymatching"})
_TAG = re.compile(r"[0-9a-fA-F]{8}")

# the keys that are text, how they match, and where the index keeps what they are compared with
_TEXTS: dict[str, tuple[Callable[[str], Matches], Callable[[Study], str | None]]] = {
    "AccessionNumber": (like, lambda study: study.accession_number),
    "PatientName": (name_like, lambda study: study.extra.get("PatientName")),
    "ReferringPhysicianName": (name_like, lambda study: study.referrer),
    "StudyDescription": (name_like, lambda study: study.description),
    "StudyID": (like, lambda study: study.extra.get("StudyID")),
}

Row = tuple[Study, Series | None, Instance | None]


def decode(request: WireRequest) -> FindStudies:
    """Raises BadParameter for what is unknown, malformed or given twice."""
    _check_accept(request)
    asked = _asked(request)
    offset, limit = _window(request)
    if "study" in request.params:
        study = check_uid(request.params["study"], "Study Instance UID")
        if "series" in request.params:
            check_uid(request.params["series"], "Series Instance UID")
        return FindStudies(StudySearch(study_instance_uids=(study,)))
    return FindStudies(
        StudySearch(
            patient=_patient(asked, request),
            study_instance_uids=_uids(asked, "StudyInstanceUID"),
            where=tuple(_conditions(asked)),
            limit=offset + limit,
        )
    )


def encode(page: Page[Study], request: WireRequest) -> WireResponse:
    """200 with what was found, 204 where that is nothing; what is missing is said in Warning headers."""
    offset, limit = _window(request)
    rows = list(_rows(page.items, request))
    if "study" in request.params and not (page.items or page.outcomes or page.withheld):
        raise NotFound("study")
    shown = rows[offset : offset + limit]
    headers: Pairs = (("Cache-Control", "no-store"), *_warnings(page, request, len(rows) - offset - len(shown)))
    if not shown:
        return WireResponse(204, headers)
    found = [_answer(row, request.base) for row in shown]
    return WireResponse(200, (("Content-Type", dicom_json.MEDIA_TYPE), *headers), dicom_json.dumped(found))


def _level(request: WireRequest) -> str:
    return request.path.rstrip("/").rsplit("/", 1)[-1]


def _check_accept(request: WireRequest) -> None:
    accepted(request, frozenset({dicom_json.MEDIA_TYPE, "application/json"}), offered=dicom_json.MEDIA_TYPE)


def _asked(request: WireRequest) -> dict[str, str]:
    """Matching keys by keyword. Universal matching (an empty value) asks for nothing and is no condition."""
    keys = {"studies": _STUDY_KEYS, "series": _SERIES_KEYS, "instances": _INSTANCE_KEYS}[_level(request)]
    found: dict[str, str] = {}
    for name, value in request.query:
        if name in _CONTROLS:
            _check_control(name, value)
            continue
        keyword = keyword_of(int(name, 16)) if _TAG.fullmatch(name) else name
        if keyword not in keys:
            raise BadParameter(name, "not a key that this level can be searched by")
        if keyword in found:
            raise BadParameter(name, "given twice")
        if len(value) > 4096 or not value.isprintable():
            raise BadParameter(name, "too long or not printable")
        found[keyword] = value.strip()
    return {keyword: value for keyword, value in found.items() if value not in ("", "*")}


def _check_control(name: str, value: str) -> None:
    if name == "fuzzymatching" and value not in ("true", "false"):
        raise BadParameter(name, "expected true or false")
    if name == "includefield":
        for field in value.split(","):
            if field != "all" and not _TAG.fullmatch(field) and tag_of(field) is None:
                raise BadParameter(name, "expected tags, keywords or all")


def _window(request: WireRequest) -> tuple[int, int]:
    given: dict[str, int] = {"offset": 0, "limit": DEFAULT_LIMIT}
    for name, value in request.query:
        if name in given:
            if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
                raise BadParameter(name, "expected a whole number")
            given[name] = int(value)
    if given["offset"] > OFFSET_LIMIT:
        raise BadParameter("offset", f"at most {OFFSET_LIMIT}; narrow the search instead")
    return given["offset"], max(1, min(given["limit"], LIMIT))


def _patient(asked: dict[str, str], request: WireRequest) -> PatientSelector:
    number, issuer = asked.get("PatientID"), asked.get("IssuerOfPatientID")
    if number is None:
        if issuer is not None:
            raise BadParameter("IssuerOfPatientID", "needs PatientID beside it")
        return ANYBODY
    # a number without its authority means another patient at each hospital; only at home there is no doubt
    own = request.patient_id_system if request.door != "peer" else ""
    system = issuer_system(issuer) if issuer else own
    if not system:
        raise BadParameter("IssuerOfPatientID", "is needed beside PatientID")
    if "*" in number or "?" in number:
        raise BadParameter("PatientID", "one whole number, without wildcards")
    return PatientSelector(described=PatientInQuestion((PatientIdentifier(system, number),)))


def _uids(asked: dict[str, str], keyword: str) -> tuple[str, ...] | None:
    if keyword not in asked:
        return None
    try:
        return tuple(check_uid(uid) for uid in _listed(asked[keyword]))
    except InvalidValue as error:
        raise BadParameter(keyword, error.expected) from error


def _conditions(asked: dict[str, str]) -> Iterator[Callable[[Study], bool]]:
    if "StudyDate" in asked:
        yield _performed_within(*date_range("StudyDate", asked["StudyDate"]))
    if "StudyTime" in asked:
        yield _performed_between(*time_range("StudyTime", asked["StudyTime"]))
    if "ModalitiesInStudy" in asked:
        wanted = like(*_listed(asked["ModalitiesInStudy"]))
        yield lambda study: any(wanted(modality) for modality in study.modalities)
    for keyword, (matching, read) in _TEXTS.items():
        if keyword in asked:
            yield _said(matching(asked[keyword]), read)


def _said(matches: Matches, read: Callable[[Study], str | None]) -> Callable[[Study], bool]:
    return lambda study: matches(read(study) or "")


def _performed_within(first: date, last: date) -> Callable[[Study], bool]:
    return lambda study: study.started is not None and first <= study.started.date() <= last


def _performed_between(first: str, last: str) -> Callable[[Study], bool]:
    return lambda study: study.started is not None and first <= study.started.strftime("%H%M%S") <= last


def _listed(value: str) -> list[str]:
    return re.split(r"[,\\]", value)


def _rows(studies: Sequence[Study], request: WireRequest) -> Iterator[Row]:
    level = _level(request)
    if level == "studies":
        yield from ((study, None, None) for study in studies)
        return
    asked = _asked(request)
    for study in studies:
        for series in study.series:
            if request.params.get("series") not in (None, series.series_instance_uid):
                continue
            if level == "instances":
                yield from ((study, series, one) for one in series.instances if _instance_fits(one, asked))
            elif _series_fits(series, asked):
                yield study, series, None


def _series_fits(series: Series, asked: dict[str, str]) -> bool:
    return _fits(
        asked, SeriesInstanceUID=series.series_instance_uid, Modality=series.modality, SeriesNumber=series.number
    )


def _instance_fits(instance: Instance, asked: dict[str, str]) -> bool:
    return _fits(
        asked,
        SOPInstanceUID=instance.sop_instance_uid,
        SOPClassUID=instance.sop_class_uid,
        InstanceNumber=instance.number,
    )


def _fits(asked: dict[str, str], **found: Any) -> bool:
    return all(like(*_listed(value))(str(found[keyword])) for keyword, value in asked.items())


def _answer(row: Row, base: str) -> Json:
    study, series, instance = row
    if series is None:
        return dicom_json.of_study(study, base)
    if instance is None:
        return dicom_json.of_series(study, series, base)
    return dicom_json.of_instance(study, series, instance, base)


def _warnings(page: Page[Study], request: WireRequest, more: int) -> Iterator[tuple[str, str]]:
    texts = []
    if page.total is not None:
        more = max(more, page.total - sum(_window(request)))
    if more > 0 or page.next is not None:
        number = f"are {more}" if more > 0 else "are"
        texts.append(f"There {number} additional results that can be requested")
    if ("fuzzymatching", "true") in request.query:
        texts.append("The fuzzymatching parameter is not supported. Only literal matching has been performed.")
    if page.withheld:
        texts.append("Nothing can be shown without the patient's request")
    if page.not_unique:
        texts.append("More than one patient matches: ask for one more detail")
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
    _transaction("/studies/<study>/series", "Search for the series of a study"),
    _transaction("/studies/<study>/instances", "Search for the instances of a study"),
    _transaction("/studies/<study>/series/<series>/instances", "Search for the instances of a series"),
)
