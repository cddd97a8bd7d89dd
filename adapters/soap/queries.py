"""The fourteen stored queries of the registry, as commands.

Source: IHE ITI TF-2: 3.18.4.1.2.3.7 (parameters for each query)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from adapters.soap import names
from adapters.soap.datatypes import read_cx, read_dtm, read_unique_id, reference_ids, write_xcn
from adapters.soap.errors import QueryFault
from adapters.soap.parameters import Alternatives, Parameters, codes_of, like, missing, wrong_number
from adapters.soap.reading import REFERENCES
from adapters.soap.writing import ASSOCIATIONS
from registry.coded import CONSENT_PAPER, NORMAL, CodedValue
from registry.commands import FindDocuments, QueryKind, QueryRegistry
from registry.documents import Author, DocumentEntry, DocumentStatus, Folder, SubmissionSet
from registry.errors import InvalidValue
from registry.holdings import AssociationKind
from registry.people import PatientInQuestion
from registry.searches import DocumentSearch, PatientSelector

MOST_RESULTS = 25_000
"""Objects in one answer; a query that finds more is answered with XDSTooManyResults."""

Noun = TypeVar("Noun", DocumentEntry, SubmissionSet, Folder)
Test = Callable[[DocumentEntry], bool]
Command = FindDocuments | QueryRegistry
_DE, _SS, _FOLDER = "$XDSDocumentEntry", "$XDSSubmissionSet", "$XDSFolder"
_STATUSES = {names.APPROVED: DocumentStatus.CURRENT, names.DEPRECATED: DocumentStatus.SUPERSEDED}
_KINDS = {urn: kind for kind, urn in ASSOCIATIONS.items()}


def read_query(query_id: str, parameters: Parameters) -> Command:
    """The command of a stored query. Raises QueryFault."""
    known = QUERIES.get(query_id.lower())
    if known is None:
        raise QueryFault("XDSUnknownStoredQuery", "this stored query is not known here")
    level = parameters.one("$MetadataLevel")
    if level not in (None, "1", "2"):
        raise wrong_number("$MetadataLevel", "is 1 or 2")
    return known(parameters)


# ---- queries that start from a patient ----


def _find_documents(asked: Parameters) -> FindDocuments:
    return FindDocuments(
        DocumentSearch(
            patient=_patient(asked, f"{_DE}PatientId"),
            statuses=_statuses(asked, f"{_DE}Status"),
            where=_document_tests(asked),
            limit=MOST_RESULTS,
            versions=True,
            manifests=True,
            on_demand=names.ON_DEMAND in _types(asked),
            papers=_asks_for_papers(asked),
        )
    )


def _find_by_reference(asked: Parameters) -> FindDocuments:
    name = f"{_DE}ReferenceIdList"
    wanted = [frozenset(one) for one in asked.all_of(name)]
    if not wanted:
        raise missing(name)
    found = _find_documents(asked)
    test: Test = lambda entry: all(one & _references(entry) for one in wanted)  # noqa: E731
    return FindDocuments(replace(found.search, where=(*found.search.where, test)))


def _find_submission_sets(asked: Parameters) -> QueryRegistry:
    patient, statuses = _patient(asked, f"{_SS}PatientId"), _statuses(asked, f"{_SS}Status")
    tests: list[Callable[[SubmissionSet], bool]] = [lambda one: one.status in statuses]
    sources = frozenset(map(read_unique_id, asked.any_of(f"{_SS}SourceId")))
    if sources:
        tests.append(lambda one: one.source_id in sources)
    tests += _between(asked, f"{_SS}SubmissionTime", lambda one: one.submitted)
    tests += _by_author(asked, f"{_SS}AuthorPerson")
    content = codes_of(asked.any_of(f"{_SS}ContentType"), f"{_SS}ContentType")
    if content:
        tests.append(lambda one: _has(content, (one.content_type,)))
    return QueryRegistry(QueryKind.FIND_SUBMISSION_SETS, patient, submission_sets=tuple(tests), limit=MOST_RESULTS)


def _find_folders(asked: Parameters) -> QueryRegistry:
    patient, statuses = _patient(asked, f"{_FOLDER}PatientId"), _statuses(asked, f"{_FOLDER}Status")
    tests: list[Callable[[Folder], bool]] = [lambda one: one.status in statuses]
    tests += _between(asked, f"{_FOLDER}LastUpdateTime", lambda one: one.updated)
    for values in asked.all_of(f"{_FOLDER}CodeList"):
        wanted = codes_of(values, f"{_FOLDER}CodeList")
        tests.append(lambda one, wanted=wanted: _has(wanted, one.codes))  # type: ignore[misc]
    return QueryRegistry(QueryKind.FIND_FOLDERS, patient, folders=tuple(tests), limit=MOST_RESULTS)


def _get_all(asked: Parameters) -> QueryRegistry:
    entries, sets = _statuses(asked, f"{_DE}Status"), _statuses(asked, f"{_SS}Status")
    folders = _statuses(asked, f"{_FOLDER}Status")
    return QueryRegistry(
        QueryKind.GET_ALL,
        _patient(asked, "$patientId"),
        documents=(lambda one: one.status in entries, *_content_tests(asked)),
        submission_sets=(lambda one: one.status in sets,),
        folders=(lambda one: one.status in folders,),
        limit=MOST_RESULTS,
    )


# ---- queries that start from objects ----


def _from_documents(kind: QueryKind) -> Callable[[Parameters], QueryRegistry]:
    def read(asked: Parameters) -> QueryRegistry:
        logical = asked.any_of(f"{_DE}LogicalID") if kind is QueryKind.GET_DOCUMENTS else ()
        wanted = logical or asked.only_one_of(f"{_DE}EntryUUID", f"{_DE}UniqueId")
        if kind in _SINGLE and len(wanted) > 1:
            raise wrong_number(f"{_DE}EntryUUID or UniqueId", "takes one value")
        asked.any_of("$homeCommunityId")
        return QueryRegistry(
            kind,
            identifiers=_spelled(wanted),
            documents=(_of_types(asked),) if kind is QueryKind.GET_RELATED_DOCUMENTS else (),
            kinds=_associations(asked, kind),
            limit=MOST_RESULTS,
            all_versions=bool(logical),
        )

    return read


def _from_package(kind: QueryKind, prefix: str) -> Callable[[Parameters], QueryRegistry]:
    def read(asked: Parameters) -> QueryRegistry:
        logical = asked.any_of(f"{prefix}LogicalID") if kind is QueryKind.GET_FOLDERS else ()
        wanted = logical or asked.only_one_of(f"{prefix}EntryUUID", f"{prefix}UniqueId")
        if kind is not QueryKind.GET_FOLDERS and len(wanted) > 1:
            raise wrong_number(f"{prefix}EntryUUID or UniqueId", "takes one value")
        asked.any_of("$homeCommunityId")
        documents = tuple(_content_tests(asked)) if kind is not QueryKind.GET_FOLDERS else ()
        return QueryRegistry(
            kind,
            identifiers=_spelled(wanted),
            documents=documents,
            limit=MOST_RESULTS,
            all_versions=bool(logical),
        )

    return read


def _from_uuids(kind: QueryKind) -> Callable[[Parameters], QueryRegistry]:
    def read(asked: Parameters) -> QueryRegistry:
        wanted = asked.any_of("$uuid", required=True)
        asked.any_of("$homeCommunityId")
        return QueryRegistry(kind, identifiers=_spelled(wanted), limit=MOST_RESULTS)

    return read


_SINGLE = (QueryKind.GET_FOLDERS_FOR_DOCUMENT, QueryKind.GET_RELATED_DOCUMENTS)


def _associations(asked: Parameters, kind: QueryKind) -> frozenset[AssociationKind]:
    if kind is not QueryKind.GET_RELATED_DOCUMENTS:
        return frozenset()
    named = asked.any_of("$AssociationTypes", required=True)
    return frozenset(_KINDS[urn] for urn in named if urn in _KINDS)


# ---- conditions ----


def _patient(asked: Parameters, name: str) -> PatientSelector:
    value = asked.one(name, required=True)
    try:
        return PatientSelector(described=PatientInQuestion((read_cx(value or "", name),)))
    except InvalidValue as error:
        raise wrong_number(name, "a patient is written 'id^^^&OID&ISO'") from error


def _statuses(asked: Parameters, name: str) -> tuple[DocumentStatus, ...]:
    """Values that no status has are passed over; when none is left, the parameter is missing."""
    found = tuple(_STATUSES[value] for value in asked.any_of(name, required=True) if value in _STATUSES)
    if not found:
        raise missing(name)
    return found


def _document_tests(asked: Parameters) -> tuple[Test, ...]:
    tests: list[Test] = []
    coded: Mapping[str, Callable[[DocumentEntry], Iterable[CodedValue | None]]] = {
        "ClassCode": lambda entry: entry.categories,
        "TypeCode": lambda entry: (entry.type,),
        "PracticeSettingCode": lambda entry: (entry.practice_setting,),
        "HealthcareFacilityTypeCode": lambda entry: (entry.facility_type,),
    }
    for name, of in coded.items():
        tests += _by_code(asked, _DE + name, of)
    for values in asked.all_of(f"{_DE}EventCodeList"):
        wanted = codes_of(values, f"{_DE}EventCodeList")
        tests.append(lambda entry, wanted=wanted: _has(wanted, entry.events))  # type: ignore[misc]
    tests += _between(asked, f"{_DE}CreationTime", lambda entry: entry.date)
    tests += _between(asked, f"{_DE}ServiceStartTime", lambda entry: entry.start, absent=True)
    tests += _between(asked, f"{_DE}ServiceStopTime", lambda entry: entry.stop, absent=True)
    tests += _by_author(asked, f"{_DE}AuthorPerson")
    return (*tests, *_content_tests(asked))


def _content_tests(asked: Parameters) -> list[Test]:
    """What can be asked of documents in every query that brings them along."""
    tests = _by_code(asked, f"{_DE}FormatCode", lambda entry: (entry.format,))
    for values in asked.all_of(f"{_DE}ConfidentialityCode"):
        wanted = codes_of(values, f"{_DE}ConfidentialityCode")
        tests.append(lambda entry, wanted=wanted: _has(wanted, entry.sensitivity or (NORMAL,)))  # type: ignore[misc]
    return [*tests, _of_types(asked)]


def _of_types(asked: Parameters) -> Test:
    types = _types(asked)
    return lambda entry: (names.ON_DEMAND if entry.on_demand else names.STABLE) in types


def _types(asked: Parameters) -> Alternatives:
    """Which kinds of documents; without a word on it those whose bytes are known."""
    return asked.any_of(f"{_DE}Type") or (names.STABLE,)


def _asks_for_papers(asked: Parameters) -> bool:
    kinds = (*asked.any_of(f"{_DE}ClassCode"), *asked.any_of(f"{_DE}TypeCode"))
    return any(CONSENT_PAPER.code in kind for kind in kinds)


def _by_code(asked: Parameters, name: str, of: Callable[[DocumentEntry], Iterable[CodedValue | None]]) -> list[Test]:
    wanted = codes_of(asked.any_of(name), name)
    return [lambda entry: _has(wanted, of(entry))] if wanted else []


def _has(wanted: Iterable[CodedValue], found: Iterable[CodedValue | None]) -> bool:
    return any(one is not None and one.means(each) for one in found for each in wanted)


def _between(
    asked: Parameters, name: str, of: Callable[[Noun], datetime | None], *, absent: bool = False
) -> list[Callable[[Noun], bool]]:
    """From, included, and To, not included; `absent` says whether what has no such time passes."""
    start, stop = _moment(asked, f"{name}From"), _moment(asked, f"{name}To")
    if start is None and stop is None:
        return []

    def holds(noun: Noun) -> bool:
        moment = of(noun)
        if moment is None:
            return absent
        return (start is None or start <= moment) and (stop is None or moment < stop)

    return [holds]


def _moment(asked: Parameters, name: str) -> datetime | None:
    value = asked.one(name)
    try:
        return None if value is None else read_dtm(value, name)
    except InvalidValue as error:
        raise wrong_number(name, "a time is written YYYY[MM[DD[hh[mm[ss]]]]]") from error


def _by_author(asked: Parameters, name: str) -> list[Callable[[Noun], bool]]:
    patterns = [like(value) for value in asked.any_of(name)]
    if not patterns:
        return []

    def holds(noun: Noun) -> bool:
        written = list(_persons(noun))
        return any(pattern.fullmatch(person) for pattern in patterns for person in written)

    return [holds]


def _persons(noun: DocumentEntry | SubmissionSet | Folder) -> Iterable[str]:
    """Each author's person as XCN: as it came, else as it would be written; and the name alone."""
    if isinstance(noun, Folder):
        return
    for number, author in enumerate(noun.authors):
        yield from noun.slots.get(f"author {number} authorPerson", ()) or _written(author)
        if author.person:
            yield author.person


def _written(author: Author) -> Iterable[str]:
    if author.person or author.identifier:
        yield write_xcn(author.person, author.identifier)


def _references(entry: DocumentEntry) -> frozenset[str]:
    return frozenset((*entry.slots.get(REFERENCES, ()), *reference_ids(entry)))


def _spelled(values: Alternatives) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(read_unique_id, values)))


QUERIES: Mapping[str, Callable[[Parameters], Command]] = {
    "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d": _find_documents,
    "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492": _find_by_reference,
    "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9": _find_submission_sets,
    "urn:uuid:958f3006-baad-4929-a4de-ff1114824431": _find_folders,
    "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3": _get_all,
    "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4": _from_documents(QueryKind.GET_DOCUMENTS),
    "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4": _from_package(QueryKind.GET_FOLDERS, _FOLDER),
    "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155": _from_uuids(QueryKind.GET_ASSOCIATIONS),
    "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a": _from_documents(QueryKind.GET_DOCUMENTS_AND_ASSOCIATIONS),
    "urn:uuid:51224314-5390-4169-9b91-b1980040715a": _from_uuids(QueryKind.GET_SUBMISSION_SETS),
    "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83": _from_package(QueryKind.GET_SUBMISSION_SET_AND_CONTENTS, _SS),
    "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7": _from_package(QueryKind.GET_FOLDER_AND_CONTENTS, _FOLDER),
    "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578": _from_documents(QueryKind.GET_FOLDERS_FOR_DOCUMENT),
    "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6": _from_documents(QueryKind.GET_RELATED_DOCUMENTS),
}
