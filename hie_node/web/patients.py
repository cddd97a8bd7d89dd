"""The doctor's page: find the patient, see every hospital's records on one page, and who said what to the question."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Response

from consent.emergency import EmergencyReason
from consent.requesters import Role
from hie_node.flows.course import CourseEverywhere, course_everywhere, course_here
from hie_node.flows.emergencies import declare
from hie_node.flows.find import find_documents, find_studies
from hie_node.flows.reviews import read_person
from hie_node.web.charts import spark
from hie_node.web.front import PART, Page, Refused, Visit
from hie_node.web.hearing import Shown, hear
from hie_node.web.rendering import text_of
from hie_node.web.searching import results
from hie_node.web.timeline import timeline
from registry.commands import FindDocuments, FindStudies
from registry.documents import DocumentStatus
from registry.identifiers import HomeCommunityId
from registry.performed import Performed
from registry.searches import DocumentSearch, PatientSelector, StudySearch
from registry.studies import Series

TREATING = frozenset({Role.DOCTOR, Role.NURSE})
DESK = "/patients"
MOST = 300
"""Entries of each kind on one page; a patient with more is told so."""
SERIES_SHOWN = 30
END_OF_PART = "\x1e"
"""Ends each state of the page that is sent while answers come in."""
REASONS = tuple(one.value for one in EmergencyReason)


def search_page(visit: Visit) -> Response:
    return visit.page("search.html", desk=DESK, found=None, problem="")


def search_results(visit: Visit) -> Response:
    return results(visit, desk=DESK)


def own_records(visit: Visit) -> Response:
    """The patient, and at once what this hospital holds; the others are asked by the form on the page."""
    known = read_person(visit.act("read-patient"), visit.params["record_id"])
    documents, studies = _searches(visit)
    found_documents = find_documents(visit.act("own-documents"), documents)
    found_studies = find_studies(visit.act("own-studies"), studies)
    cut = found_documents.next is not None or found_studies.next is not None
    shown = Shown(timeline(found_documents.items, found_studies.items, here=visit.house.home), cut=cut)
    return visit.page("patient.html", person=known.person, shown=shown, **_course(visit), **_links(visit))


def declare_emergency(visit: Visit) -> Response:
    """From now on this doctor sees more of this patient; somebody is told, and it is reviewed."""
    reason = next((one for one in EmergencyReason if one.value == visit.field("reason", 40)), None)
    if reason is None:
        raise Refused(400, "emergency.problem.reason")
    record_id = visit.params["record_id"]
    declare(
        visit.act("declare-emergency"),
        PatientSelector(record_id=record_id),
        reason=reason,
        text=visit.field("text", 900),
    )
    return visit.go(f"{DESK}/{record_id}")


def all_hospitals(visit: Visit) -> Response:
    """The same with every hospital's answer. Asking is itself a disclosure and is recorded, so it is a form.

    Our script gets the part of the page that changes, whole and again each time somebody has answered.
    """
    documents, studies = _searches(visit)
    everybody = visit.field("everybody", 3) == "yes"
    coming = hear(visit, documents, studies, most=MOST, everybody=everybody)
    links = _links(visit)
    if visit.request.headers.get(PART):
        pages = (text_of(visit, "answer.html", shown=shown, **links) + END_OF_PART for shown in coming)
        return Response(pages, content_type="text/html; charset=utf-8")
    *_, shown = coming
    known = read_person(visit.act("read-patient"), visit.params["record_id"])
    return visit.page("patient.html", person=known.person, shown=shown, **_course(visit), **links)


def all_courses(visit: Visit) -> Response:
    """Diagnoses, medicines and values of every hospital. Opening their visits is recorded there and here, so it is a
    form of its own. Our script gets the part of the page that changes."""
    record_id = visit.params["record_id"]
    told = course_everywhere(visit.act("course"), visit.act("open-visits"), record_id)
    shown = {**_course_shown(told), **_links(visit)}
    if visit.request.headers.get(PART):
        return Response(text_of(visit, "course.html", **shown), content_type="text/html; charset=utf-8")
    known = read_person(visit.act("read-patient"), record_id)
    return visit.page("course_page.html", person=known.person, **shown)


def _course(visit: Visit) -> dict[str, Any]:
    """Diagnoses, medicines and values of this hospital's visits."""
    return _course_shown(CourseEverywhere(course_here(visit.act("course"), visit.params["record_id"]), ()))


def _course_shown(told: CourseEverywhere) -> dict[str, Any]:
    """A value that was measured often is drawn."""
    return {
        "course": told.course,
        "lines": told.lines,
        "older": told.older,
        "reports": told.reports,
        "in_words": told.in_words,
        "sparks": {trend: spark(trend) for trend in told.course.trends},
    }


def _searches(visit: Visit) -> tuple[FindDocuments, FindStudies]:
    who = PatientSelector(record_id=visit.params["record_id"])
    return (
        FindDocuments(DocumentSearch(patient=who, statuses=(DocumentStatus.CURRENT,), limit=MOST)),
        FindStudies(StudySearch(patient=who, limit=MOST)),
    )


def _links(visit: Visit) -> dict[str, Any]:
    """What the templates need to name hospitals and to link to things without saying anything in the address."""
    record_id = visit.params["record_id"]
    directory = visit.house.directory.current()

    @cache
    def hospital(home: HomeCommunityId) -> str:
        peer = directory.peer(home)
        return visit.house.settings.name if home == visit.house.home else peer.community.name if peer else str(home)

    sealed: dict[tuple[object, ...], str] = {}

    def facts(entry: Performed) -> str:
        """Sealed once for all states of the page."""
        key = (entry.home, entry.study and entry.study.id, *(report.id for report in entry.reports))
        if key not in sealed:
            sealed[key] = seal(entry)
        return sealed[key]

    def seal(entry: Performed) -> str:
        performed = entry.performed.isoformat() if entry.performed else ""
        series = "\n".join(_told(one) for one in (entry.study.series if entry.study else ())[:SERIES_SHOWN])
        return visit.seal(
            record=record_id,
            title=entry.title,
            performed=performed,
            hospital=hospital(entry.home),
            series=series,
            study=entry.study.study_instance_uid if entry.study else "",
            reports=" ".join(report.id for report in entry.reports),
        )

    emergency = {"emergency": visit.emergency(), "may_declare": visit.house.policy.emergency_access, "reasons": REASONS}
    return {**emergency, "record_id": record_id, "hospital_of": hospital, "facts": facts, "here": visit.house.home}


def _told(series: Series) -> str:
    """One series as a line of the sealed facts: modality, description, images, slice thickness, contrast agent."""
    parts = (
        series.modality,
        series.description or series.body_part or "",
        str(len(series.instances)),
        f"{series.slice_thickness:g}" if series.slice_thickness else "",
        series.contrast_agent or "",
    )
    return "\t".join(part.replace("\t", " ").replace("\n", " ")[:80] for part in parts)


PAGES = (
    Page("search-patients", "GET", DESK, search_page, TREATING),
    Page("search-patients", "POST", DESK, search_results, TREATING),
    Page("own-records", "GET", f"{DESK}/<record_id>", own_records, TREATING),
    Page(
        "declare-emergency",
        "POST",
        f"{DESK}/<record_id>/emergency",
        declare_emergency,
        TREATING,
        step_up=f"{DESK}/{{record_id}}",
    ),
    Page("all-hospitals", "POST", f"{DESK}/<record_id>/others", all_hospitals, TREATING),
    Page("all-courses", "POST", f"{DESK}/<record_id>/course", all_courses, TREATING),
)
