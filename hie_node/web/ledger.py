"""The ledger's page: repeats avoided and repeated, with charts; the same to hand over as CSV and PDF."""

from __future__ import annotations

from flask import Response

from consent.requesters import Role
from hie_node.ledger_report import as_csv, as_pdf, dong, entries_of, month_said, validity_said
from hie_node.web.charts import months as chart_of
from hie_node.web.front import Page, Visit, attachment
from registry.ledger import Entry, ledger
from registry.pairing import parse_examination

MAY_SEE = frozenset({Role.ADMINISTRATOR, Role.DATA_PROTECTION_OFFICER, Role.DOCTOR, Role.NURSE})
MONTHS = (1, 3, 6, 12, 36)
USUAL = 12


def ledger_page(visit: Visit) -> Response:
    """Sums only: no patient stands on it."""
    months, sums = _months(visit), ledger(_entries(visit))
    return visit.page(
        "ledger.html",
        months=months,
        choices=MONTHS,
        sums=sums,
        chart=chart_of(sums.by_month),
        sender=lambda code: senders(visit).get(code, code),
        month=month_said,
        what=lambda key: examination(visit, key),
        dong=lambda amount: dong(amount, visit.language),
        validity=validity_said(visit.house, visit.looks.say, visit.language),
    )


def ledger_csv(visit: Visit) -> Response:
    """With a mark at its beginning by which spreadsheets know that it is UTF-8."""
    response = Response("\ufeff" + as_csv(_entries(visit)), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = attachment("ledger.csv")
    return response


def ledger_pdf(visit: Visit) -> Response:
    content = as_pdf(
        visit.house,
        months=_months(visit),
        say=visit.looks.say,
        language=visit.language,
        names=senders(visit),
        what=lambda key: examination(visit, key),
    )
    response = Response(content, content_type="application/pdf")
    response.headers["Content-Disposition"] = attachment("ledger.pdf")
    return response


def _months(visit: Visit) -> int:
    asked = visit.request.args.get("months", "")
    return int(asked) if asked in {str(one) for one in MONTHS} else USUAL


def _entries(visit: Visit) -> tuple[Entry, ...]:
    return entries_of(visit.house, months=_months(visit))


def senders(visit: Visit) -> dict[str, str]:
    """Hospitals by facility code."""
    peers = {str(p.community.facility): p.community.name for p in visit.house.directory.current().peers}
    return peers | {str(visit.house.settings.facility_code): visit.house.settings.name}


def examination(visit: Visit, key: str) -> str:
    """`CT/brain/plain` as it is said."""
    known = parse_examination(key)
    if known is None:
        return key
    return ", ".join(part for part in (visit.looks.examination(known), visit.looks.contrast(known)) if part)


PAGES = (
    Page("ledger", "GET", "/ledger", ledger_page, MAY_SEE),
    Page("ledger-csv", "GET", "/ledger.csv", ledger_csv, MAY_SEE),
    Page("ledger-pdf", "GET", "/ledger.pdf", ledger_pdf, MAY_SEE),
)
