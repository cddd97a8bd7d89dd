"""The ledger to look at and to hand over: sums of a period, as text for a spreadsheet and as paper.

No patient is in any of it. What is counted and what is estimated is said on every form of it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from adapters.cdshooks.sentences import Language
from adapters.pdf import Block, Facts, Grid, Heading, Paragraph, write_pdf
from hie_node.house import House
from hie_node.ordering_tables import tables
from registry.ledger import Entry, Ledger, Sum, ledger
from registry.local_time import VIET_NAM
from registry.validity import in_effect

Say = Callable[..., str]
"""A wording of the pages by its key."""
FIELDS = (
    "month",
    "verdict",
    "reason",
    "examination",
    "sender",
    "in_time",
    "exposures",
    "saved_local_dong",
    "saved_lowest_dong",
    "source",
    "via",
)


def entries_of(house: House, *, months: int) -> tuple[Entry, ...]:
    """The decisions of this month and the ones before it, `months` in all."""
    return _between(house, _first_day(house.now(), months), house.now() + timedelta(days=1))


def _between(house: House, since: datetime, until: datetime) -> tuple[Entry, ...]:
    with house.storage.read() as unit:
        return unit.orders.decisions(since, until)


def month_said(key: str) -> str:
    """`2026-11` as it is written here."""
    return f"{key[5:]}/{key[:4]}"


def _first_day(now: datetime, months: int) -> datetime:
    local = now.astimezone(VIET_NAM)
    count = local.year * 12 + local.month - months
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=VIET_NAM)


def as_csv(entries: Sequence[Entry]) -> str:
    """One decision a line, by month only: no patient, no day, no doctor."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(FIELDS)
    for one in entries:
        used = one.verdict == "used"
        sums = (one.exposure, one.local or "", one.lowest or "") if used else (0, "", "")
        told = (one.month, one.verdict, one.reason, one.examination, one.sender, int(one.stood_in))
        writer.writerow([safe_cell(str(cell)) for cell in (*told, *sums, one.price_source, one.via)])
    return out.getvalue()


def safe_cell(cell: str) -> str:
    """A spreadsheet takes what begins like this for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t") else cell


def as_json(sums: Ledger) -> dict[str, Any]:
    """The sums as plain values."""
    return {
        "whole": _plain(sums.whole),
        "by_month": {key: _plain(one) for key, one in sums.by_month.items()},
        "by_sender": {key: _plain(one) for key, one in sums.by_sender.items()},
        "by_examination": {key: _plain(one) for key, one in sums.by_examination.items()},
        "reasons_to_repeat": dict(sums.by_reason),
    }


def _plain(one: Sum) -> dict[str, int]:
    return {
        "used": one.used,
        "repeated": one.repeated,
        "repeated_in_time": one.repeated_in_time,
        "saved_local": one.local,
        "saved_lowest": one.lowest,
        "exposures_avoided": one.exposures,
        "without_price": one.unpriced,
    }


def as_pdf(
    house: House,
    *,
    months: int,
    say: Say,
    language: Language,
    names: Mapping[str, str],
    what: Say,
) -> bytes:
    """To hand over: `names` of the senders by facility code, `what` says an examination by its key."""
    sums, when = ledger(entries_of(house, months=months)), house.now().astimezone(VIET_NAM)
    since = _first_day(when, months)
    blocks: list[Block] = [
        Heading(say("ledger.title"), 1),
        Paragraph(f"{house.settings.name} ({house.settings.facility_code})", centred=True),
        Paragraph(f"{say('ledger.period')}: {since:%m/%Y} - {when:%m/%Y}", centred=True),
        Facts(_facts(sums, say, language)),
        Paragraph(say("ledger.counted"), small=True),
        Paragraph(say("ledger.estimated"), small=True),
        Paragraph(validity_said(house, say, language), small=True),
    ]
    for title, groups, named in (
        ("ledger.by-month", sums.by_month, month_said),
        ("ledger.by-sender", sums.by_sender, lambda key: names.get(key, key)),
        ("ledger.by-examination", sums.by_examination, what),
    ):
        blocks += [Heading(say(title)), _grid(groups, say, named, language)]
    reasons = [(say(f"repeat.{key}"), str(number)) for key, number in sums.by_reason.items()]
    if reasons:
        blocks += [
            Heading(say("ledger.reasons")),
            Grid((say("ledger.reason"), say("ledger.repeated")), reasons, (70, 30)),
        ]
    footer = say("ledger.made", when=when.strftime("%d/%m/%Y %H:%M"))
    return write_pdf(blocks, title=say("ledger.title"), language=language, created=when, footer=footer)


def validity_said(house: House, say: Say, language: Language) -> str:
    """By which table a result counts as recent. Its source is told in Vietnamese, an assumption of ours in both."""
    table = in_effect(tables(house).validity, house.now().astimezone(VIET_NAM).date())
    is_ours = language != "vi" and table.status == "assumed"
    return say("ledger.table", version=table.version, source=say("ledger.table.assumed") if is_ours else table.source)


def _facts(sums: Ledger, say: Say, language: Language) -> list[tuple[str, str]]:
    one = sums.whole
    return [
        (say("ledger.used"), str(one.used)),
        (say("ledger.repeated"), f"{one.repeated} ({say('ledger.in-time', n=one.repeated_in_time)})"),
        (say("ledger.saved-local"), dong(one.local, language)),
        (say("ledger.saved-lowest"), dong(one.lowest, language)),
        (say("ledger.exposures"), str(one.exposures)),
    ]


def _grid(groups: Mapping[str, Sum], say: Say, named: Callable[[str], str], language: Language) -> Grid:
    head = ("", say("ledger.used"), say("ledger.repeated"), say("ledger.saved-local"), say("ledger.exposures"))
    rows = [
        (named(key), str(one.used), str(one.repeated), dong(one.local, language), str(one.exposures))
        for key, one in groups.items()
    ]
    return Grid(head, rows, (40, 14, 14, 20, 12))


def dong(amount: int, language: Language = "vi") -> str:
    """550.100 đồng, as money is written here; in English, where a point begins the cents, 550,100 đồng."""
    grouped = f"{amount:,}"
    return (grouped if language == "en" else grouped.replace(",", ".")) + " đồng"
