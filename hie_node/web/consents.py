"""The consent desk: the written request of a patient is printed, signed, scanned, recorded, and can be taken back.

Source: Law 91/2025/QH15 Art. 9 and Art. 26 k2 (request in writing, nothing ticked beforehand), decree 356/2025/NĐ-CP
Art. 6 (what the person has to be told).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from flask import Response

from adapters.cards import written_date
from consent.commands import DeleteConsent, FindConsents, ReadConsent, RecordConsent
from consent.consents import BASIC_NORMAL, Actor, Consent, Evidence, Period, Provision
from consent.errors import RepresentativeMissing
from consent.requesters import PurposeOfUse, Role
from hie_node.flows.consents import delete_consent, find_consents, read_consent, record_consent
from hie_node.flows.reviews import read_person
from hie_node.flows.signed_papers import signed_request
from hie_node.web.documents import CONTENT_POLICY
from hie_node.web.front import Page, Refused, Visit, attachment
from hie_node.web.searching import results
from registry.answers import Community
from registry.directory import Peer
from registry.errors import InvalidValue, NotFound, TooLarge
from registry.identifiers import PatientIdentifier
from registry.local_time import VIET_NAM
from registry.searches import PatientSelector

DESK = "/consents"
AT_THE_DESK = frozenset({Role.CONSENT_DESK, Role.DOCTOR, Role.NURSE})
"""At night a doctor takes the signed paper; the record says who did."""
DURATIONS = (30, 90, 180, 365)
"""Days that may be asked for; a request without an end is not specific."""
KINDS = ("paper", "witnessed")
"""How a paper that comes as a scan was signed; what is signed on the screen is `electronic`."""
BEGINNINGS = {b"%PDF-": "application/pdf", b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
MOST = 100


@dataclass(frozen=True, slots=True)
class Request:
    """What the form says: whose records, who may see them, for how long, how it was signed."""

    holders: tuple[Community, ...]
    recipient: Community
    everybody: bool
    days: int
    kind: str
    signed: datetime
    represented_by: str


def search_page(visit: Visit) -> Response:
    return visit.page("search.html", desk=DESK, found=None, problem="")


def search_results(visit: Visit) -> Response:
    return results(visit, desk=DESK)


def desk_page(visit: Visit, *, problem: str = "", status: int = 200) -> Response:
    """The patient's requests, and the form for a new one."""
    record_id = visit.params["record_id"]
    known = read_person(visit.act("read-patient"), record_id)
    who = PatientSelector(record_id=record_id)
    found = find_consents(visit.act("find-consents"), FindConsents(patient=who, deleted_too=True, limit=MOST))
    return visit.page(
        "consents.html",
        status=status,
        person=known.person,
        record_id=record_id,
        consents=found.items,
        peers=others(visit),
        durations=DURATIONS,
        chosen=_chosen(visit),
        to=visit.request.values.get("to", ""),
        names=_names(visit),
        staff=_staff(visit),
        problem=problem,
        recorded=visit.facts().get("recorded", ""),
    )


def others(visit: Visit) -> tuple[Peer, ...]:
    """The hospitals that may be asked now."""
    return tuple(peer for peer in visit.house.directory.current().active if peer.home != visit.house.home)


def _names(visit: Visit) -> dict[str, str]:
    """Hospitals by community, as people name them."""
    names = {str(peer.home): peer.community.name for peer in visit.house.directory.current().peers}
    return names | {str(visit.house.home): visit.house.settings.name}


def _staff(visit: Visit) -> dict[str, str]:
    """Who recorded something, as people call them."""
    with visit.house.storage.read() as unit:
        return {one.username: one.name for one in unit.people_of_the_house.users() if one.name}


def _chosen(visit: Visit) -> frozenset[str]:
    """The hospitals that the doctor's page named, or that the form named that has to be mended."""
    return frozenset(visit.request.values.getlist("from"))


def new_request(visit: Visit) -> Response:
    """Record it: one consent for each hospital that the patient named, all behind the same signed paper."""
    try:
        days, kind = _days(visit), visit.field("kind", 20)
        if kind not in KINDS:
            raise Refused(400, "consent.problem.kind")
        return record(visit, wanted(visit, kind=kind, signed=_signed(visit, days)), _scan(visit))
    except Refused as problem:
        return desk_page(visit, problem=problem.why, status=problem.status)


def record(visit: Visit, request: Request, evidence: tuple[bytes, str]) -> Response:
    """Each consent of the request, with what was signed; then the desk again."""
    who = PatientSelector(record_id=visit.params["record_id"])
    try:
        for consent in _consents(visit, request):
            act = visit.act("record-consent", action="C", direction="changed")
            record_consent(act, RecordConsent(consent, patient=who, evidence=evidence))
    except RepresentativeMissing:
        raise Refused(400, "consent.problem.representative") from None
    return visit.go(f"{DESK}/{visit.params['record_id']}?f={visit.seal(recorded='yes')}")


def wanted(visit: Visit, *, kind: str, signed: datetime) -> Request:
    """What the form asks for. Raises Refused with the words for what is missing."""
    holders, recipient, everybody = parties(visit)
    if not everybody and (not holders or len(holders) < len(visit.request.form.getlist("from"))):
        raise Refused(400, "consent.problem.from")
    represented_by = visit.field("represented_by", 200)
    return Request(() if everybody else holders, recipient, everybody, _days(visit), kind, signed, represented_by)


def _days(visit: Visit) -> int:
    days = visit.field("days", 20)
    if days not in {str(days) for days in DURATIONS}:
        raise Refused(400, "consent.problem.days")
    return int(days)


def parties(visit: Visit) -> tuple[tuple[Community, ...], Community, bool]:
    """Whose records, who may see them, and whether those of everybody. Another hospital that receives is about the
    records of this one: what lies elsewhere is asked for by the hospital that wants to see it."""
    here, known = visit.house.community, [peer.community for peer in others(visit)]
    codes, to = frozenset(visit.request.form.getlist("from")), visit.field("to", 10)
    if not to:
        return tuple(one for one in known if str(one.facility) in codes), here, "*" in codes
    recipient = next((one for one in known if str(one.facility) == to), None)
    if recipient is None or codes:
        raise Refused(400, "consent.problem.to")
    return (here,), recipient, False


def _signed(visit: Visit, days: int) -> datetime:
    """The beginning of the day on the paper, from which its days count: nothing outlasts what was signed."""
    now = visit.house.now()
    try:
        day = date.fromisoformat(str(written_date(visit.field("signed", 10))))
    except (ValueError, InvalidValue):
        raise Refused(400, "consent.problem.signed") from None
    began = datetime.combine(day, time.min, VIET_NAM)
    if began > now or _end(began, days) <= now:
        raise Refused(400, "consent.problem.signed")
    return began


def _end(signed: datetime, days: int) -> datetime:
    """The end of the last day."""
    return signed + timedelta(days=days + 1)


def _scan(visit: Visit) -> tuple[bytes, str]:
    """The signed paper: its first bytes say what it is, whatever its name says."""
    limit = visit.house.settings.limits.scan_body
    file = visit.request.files.get("scan")
    content = file.stream.read(limit + 1) if file else b""
    if not content:
        raise Refused(400, "consent.problem.no-scan")
    if len(content) > limit:
        raise TooLarge("scan", limit=limit)
    kind = next((kind for beginning, kind in BEGINNINGS.items() if content.startswith(beginning)), None)
    if kind is None:
        raise Refused(400, "consent.problem.scan")
    return content, kind


def _consents(visit: Visit, request: Request) -> Sequence[Consent]:
    now, house = visit.house.now(), visit.house
    evidence = Evidence(
        request.kind, "", explained_by=visit.user.username, language="vi", represented_by=request.represented_by
    )
    provision = Provision(
        "permit",
        period=Period(now, _end(request.signed, request.days)),
        actors=(Actor(home=request.recipient.home),),
        purposes=frozenset({PurposeOfUse.TREAT}),
    )
    return [
        Consent(
            id="",
            patient=PatientIdentifier(house.settings.patient_id_system, "to be resolved"),
            record_id="",
            status="active",
            given=request.signed if request.signed + timedelta(days=1) <= now else now,
            policy=BASIC_NORMAL,
            provision=provision,
            custodian=holder,
            evidence=evidence,
        )
        for holder in ([None] if request.everybody else [one.home for one in request.holders])
    ]


def withdraw(visit: Visit) -> Response:
    """Take it back: it says nothing from the next question on, and every hospital that keeps it is told."""
    consent = _consent(visit)
    delete_consent(visit.act("withdraw-consent", action="D", direction="changed"), DeleteConsent(consent.id))
    return visit.go(f"{DESK}/{visit.params['record_id']}?f={visit.seal(recorded='withdrawn')}")


def _consent(visit: Visit) -> Consent:
    """The consent of the address; one of another patient is not here."""
    consent = read_consent(visit.act("read-consent"), ReadConsent(visit.params["consent_id"]))
    known = read_person(visit.act("read-patient"), visit.params["record_id"])
    if consent.record_id not in known.person.record_ids:
        raise NotFound("consent")
    return consent


def signed_paper(visit: Visit) -> Response:
    """What the patient signed, as it was scanned: the desk sees that it is the right paper."""
    content = signed_request(visit.act("signed-paper"), _consent(visit).id)
    kind = next((kind for beginning, kind in BEGINNINGS.items() if content.startswith(beginning)), None)
    response = Response(content, content_type=kind or "application/octet-stream")
    if kind is None:
        response.headers["Content-Disposition"] = attachment("signed-request.bin")
    response.headers["Content-Security-Policy"] = CONTENT_POLICY
    return response


PAGES = (
    Page("search-consents", "GET", DESK, search_page, AT_THE_DESK),
    Page("search-consents", "POST", DESK, search_results, AT_THE_DESK),
    Page("consents", "GET", f"{DESK}/<record_id>", desk_page, AT_THE_DESK),
    Page("record-consent", "POST", f"{DESK}/<record_id>", new_request, AT_THE_DESK, takes_a_scan=True),
    Page("withdraw-consent", "POST", f"{DESK}/<record_id>/<consent_id>/withdraw", withdraw, AT_THE_DESK),
    Page("signed-paper", "GET", f"{DESK}/<record_id>/<consent_id>/paper", signed_paper, AT_THE_DESK),
)
