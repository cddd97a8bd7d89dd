"""The asking side of FHIR between hospitals: a question that describes the patient, an answer that is not believed.

A peer may err or lie: its answer is bounded, each entry must be in order and may not be about somebody else, and ids
are labelled with the peer's facility code, so that no two hospitals' entries can be taken for one another.

Source: IHE MHD 4.2.3, 2:3.67; HL7 FHIR R4, 3.1.1 Search
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from adapters.fhir import Resource
from adapters.fhir.check import check
from adapters.fhir.community import TEXTS, read_outcome
from adapters.fhir.document_reference import (
    Filing,
    read_attachment,
    read_document_reference,
    read_hash,
    relation_target,
)
from adapters.fhir.elements import Element, read_identifier, read_moment, referenced_id
from adapters.fhir.imaging_study import read_imaging_study
from adapters.fhir.issues import FhirError
from adapters.fhir.json_format import parse_json
from adapters.fhir.patient import in_question
from adapters.fhir.writing import is_personal
from adapters.peers.answers import BadAnswer
from adapters.wire import Pairs
from registry.answers import Community, OutcomeKind
from registry.documents import DocumentEntry
from registry.errors import RegistryError
from registry.identifiers import PatientIdentifier
from registry.matching import Agreement, birth_date_agreement, name_agreement
from registry.people import PatientInQuestion
from registry.studies import Study

MAX_BYTES = 5 * 1024 * 1024
MAX_ENTRIES = 1000
COUNT = 200
"""How many entries are asked for at once."""
MAX_LINK = 8192
MORE_THAN_TAKEN = "more than could be taken"

_RULES = frozenset({"implicitRules", "_implicitRules"})
_ID = re.compile(r"[A-Za-z0-9\-]{1,50}")
_SPECIAL = re.compile(r"([\\,|$])")

Found = TypeVar("Found", DocumentEntry, Study)


class Holder(Protocol):
    """Whoever was asked: a peer of the directory."""

    @property
    def community(self) -> Community: ...


@dataclass(frozen=True, slots=True)
class Question:
    """A search at a peer: the resource, the patient as far as we know them, and other conditions.

    manifests  imaging manifests are wanted among the documents
    """

    resource: str
    patient: PatientInQuestion
    conditions: Pairs = ()
    manifests: bool = False

    def body(self, count: int = COUNT) -> bytes:
        """The search as a form, for so many entries at once: what is personal never stands in a URL."""
        return question_body((*patient_parameters(self.patient), *self.conditions, ("_count", str(count))))


@dataclass(frozen=True, slots=True)
class Listed(Generic[Found]):
    """One page of a peer's list.

    said       what became of the question, by the holder's own word; None where the entries are the answer
    total      how many entries the holder says to have, if it does
    more       it says that the list goes on
    following  the query by which it does; empty where that cannot be followed
    """

    found: tuple[Found, ...]
    said: tuple[OutcomeKind, str] | None = None
    total: int | None = None
    more: bool = False
    following: str = ""


def question_body(parameters: Pairs) -> bytes:
    """Search parameters as application/x-www-form-urlencoded."""
    return urlencode(parameters).encode("ascii")


def patient_parameters(patient: PatientInQuestion) -> Pairs:
    """The chained identity that travels in a question: numbers, name, birth date, gender, as far as known."""
    known = patient.demographics
    pairs = [("patient.identifier", f"{_escaped(i.system)}|{_escaped(i.value)}") for i in patient.identifiers]
    if known.name:
        pairs.append(("patient.name", _escaped(known.name.text)))
    if known.birth_date:
        pairs.append(("patient.birthdate", str(known.birth_date)))
    if known.gender != "unknown":
        pairs.append(("patient.gender", known.gender))
    return tuple(pairs)


def read_documents(body: bytes, holder: Holder, question: Question) -> Listed[DocumentEntry]:
    """A page of documents in a peer's answer. Raises BadAnswer."""
    return _read(body, holder.community, question, "DocumentReference", _document)


def read_studies(body: bytes, holder: Holder, question: Question) -> Listed[Study]:
    """A page of studies in a peer's answer. Raises BadAnswer."""
    return _read(body, holder.community, question, "ImagingStudy", _study)


def outcome_of(first: Listed[Found], last: Listed[Found], *, count: int) -> tuple[OutcomeKind, str]:
    """What became of a question that was answered in pages, of which `count` entries were taken, and words for it."""
    said = first.said or last.said
    if said is not None:
        # what is there is shown, and that the holder had a difficulty is said
        return (OutcomeKind.INCOMPLETE, said[1]) if count else said
    if not last.more and (first.total or 0) <= count:
        return OutcomeKind.ANSWERED, ""
    return OutcomeKind.INCOMPLETE, MORE_THAN_TAKEN if first.following else TEXTS[OutcomeKind.INCOMPLETE]


# ---- the answer as a whole ----


def _read(
    body: bytes,
    community: Community,
    question: Question,
    kind: str,
    read_one: Callable[[Resource, Community, PatientIdentifier], Found],
) -> Listed[Found]:
    try:
        bundle: Resource = parse_json(body, max_bytes=MAX_BYTES)
        if bundle["resourceType"] == "OperationOutcome" or bundle.get("type") != "searchset":
            raise BadAnswer("not a searchset")
        entries = _entries(bundle)
        wrong = next((issue for issue in check(bundle) if issue.is_error or issue.code == "incomplete"), None)
        if wrong is not None:
            raise BadAnswer(f"{wrong.code} at {', '.join(wrong.expression)}")
        found = tuple(
            read_one(resource, community, _subject(resource, question))
            for resource, mode in entries
            if mode != "outcome" and _is(resource, kind)
        )
        said = [read_outcome(resource) for resource, mode in entries if mode == "outcome"]
        following = _following(bundle)
    except (FhirError, RegistryError, ValueError, LookupError, TypeError, AttributeError) as error:
        # whatever a peer sends costs its own line and nothing else; the text may quote what it sent
        raise BadAnswer(f"an entry that cannot be read ({type(error).__name__})") from error
    if len({item.id for item in found}) != len(found):
        raise BadAnswer("the same entry twice")
    total = bundle.get("total")
    return Listed(
        found,
        said=next((each for each in said if each is not None), None),
        total=total if isinstance(total, int) else None,
        more=following is not None,
        following=_safe_query(following, kind) if following else "",
    )


def _entries(bundle: Resource) -> list[tuple[Resource, str]]:
    entries = bundle.get("entry", [])
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise BadAnswer(f"more than {MAX_ENTRIES} entries, or none that can be counted")
    if not all(isinstance(each, dict) and isinstance(each.get("resource"), dict) for each in entries):
        raise BadAnswer("an entry without its resource")
    return [(each["resource"], _mode(each)) for each in entries]


def _mode(entry: dict[str, Any]) -> str:
    search = entry.get("search")
    return str(search.get("mode", "match")) if isinstance(search, dict) else "match"


def _is(resource: Resource, kind: str) -> bool:
    if resource.get("resourceType") != kind:
        raise BadAnswer("a resource that was not asked for")
    if not resource.keys().isdisjoint(_RULES):
        raise BadAnswer("a resource under rules that are not understood here")
    return True


def _following(bundle: Resource) -> str | None:
    """The address of the next page, if there is one."""
    return next((str(each.get("url", "")) for each in bundle.get("link", ()) if each.get("relation") == "next"), None)


def _safe_query(address: str, kind: str) -> str:
    """What of a link is used: only its query, and only at the hospital that was asked and for what it was asked.

    One that names a person in an address is not followed.
    """
    try:
        link = urlsplit(address)
        names = [name for name, _ in parse_qsl(link.query)]
    except ValueError:
        return ""
    plain = link.query.isascii() and link.query.isprintable() and " " not in link.query and len(link.query) <= MAX_LINK
    fits = plain and link.path.endswith(f"/{kind}") and bool(names) and not any(map(is_personal, names))
    return link.query if fits else ""


# ---- one entry ----


def _subject(resource: Resource, question: Question) -> PatientIdentifier:
    """Whose it is, by the holder's word; raises BadAnswer where that contradicts the question.

    The holder's own number of the patient is usually news. A number of a system that the question has with another
    value is a contradiction.
    """
    number = read_identifier(resource.get("subject", {}).get("identifier"))
    if number is None:
        raise BadAnswer("an entry that does not say whose it is")
    refuse_other_person(PatientInQuestion((number,)), question)
    for each in resource.get("contained", ()):
        if each.get("resourceType") == "Patient":
            refuse_other_person(in_question(each), question)
    return number


def refuse_other_person(told: PatientInQuestion, question: Question) -> None:
    """What the holder says of the patient may be less than was asked, or older, but not somebody else.

    Another spelling of the name is borne where the day of birth is the same: that is how the holder found them.
    """
    for number in told.numbers:
        asked = {known.value for known in question.patient.numbers if known.system == number.system}
        if asked and number.value not in asked:
            raise BadAnswer("an entry about another patient")
    mine, theirs = question.patient.demographics, told.demographics
    name, born = name_agreement(mine.name, theirs.name), birth_date_agreement(mine, theirs)
    if born is Agreement.DIFFERENT or (name is Agreement.DIFFERENT and born is not Agreement.SAME):
        raise BadAnswer("an entry about another patient")


def _document(resource: Resource, community: Community, patient: PatientIdentifier) -> DocumentEntry:
    if len(resource["content"]) != 1:
        raise BadAnswer("a document with several contents")
    told = resource["content"][0]["attachment"]
    digest, size = read_hash(told.get("hash")), told.get("size")
    if digest is None or size is None:
        raise BadAnswer("a document without hash and size")
    filing = Filing(
        entry_id=_labelled(resource, community),
        entry_uuid="",
        patient=patient,
        record_id="",
        attachment=read_attachment(resource, sha1=digest, size=size, content_hash=""),
        community=community.home,
        version=_version(resource),
        updated=_updated(resource),
    )
    return read_document_reference(
        _without_links(resource),
        filing,
        home=community.home,
        target=lambda element: _labelled_target(element, community),
    )


def _study(resource: Resource, community: Community, patient: PatientIdentifier) -> Study:
    study = read_imaging_study(
        _without_links(resource),
        study_id=_labelled(resource, community),
        patient=patient,
        record_id="",
        home=community.home,
        community=community.home,
    )
    return replace(study, updated=_updated(resource), version=_version(resource))


def _labelled(resource: Resource, community: Community) -> str:
    remote_id = resource.get("id", "")
    if not _ID.fullmatch(remote_id):
        raise BadAnswer("an entry whose id cannot be one")
    return f"{community.facility}.{remote_id}"


def _labelled_target(element: Element, community: Community) -> str:
    target = relation_target(element)
    return f"{community.facility}.{target}" if referenced_id(element, "DocumentReference") else target


def _without_links(value: Any) -> Any:
    """Without literal references to other resources of the peer: here they would point to something else."""
    if isinstance(value, list):
        return [_without_links(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _without_links(each)
        for name, each in value.items()
        if name != "reference" or not isinstance(each, str) or each.startswith(("#", "DocumentReference/"))
    }


def _updated(resource: Resource) -> Any:
    return read_moment(resource.get("meta", {}).get("lastUpdated"))


def _version(resource: Resource) -> int:
    text = resource.get("meta", {}).get("versionId", "1")
    return int(text) if text.isdigit() and len(text) < 10 else 1


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
