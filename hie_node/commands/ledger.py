"""ledger: repeats avoided and repeated, and what that is worth."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hie_node.commands.output import Json, open_house, show, table

if TYPE_CHECKING:
    from hie_node.house import House

Months = Annotated[int, typer.Option(min=1, max=120, help="This month and the ones before it.")]
app = typer.Typer(help="What doctors decided when a result existed already.", no_args_is_help=True)


@app.command("show")
def show_ledger(months: Months = 12, as_json: Json = False) -> None:
    """Repeats avoided, repeated and why, money and exposures; by month, sender and examination."""
    from hie_node.ledger_report import as_json as plain
    from hie_node.ledger_report import dong, entries_of
    from registry.ledger import ledger

    sums = ledger(entries_of(open_house(), months=months))
    whole, money = sums.whole, partial(dong, language="en")
    lines = [
        f"repeats avoided   {whole.used}",
        f"repeated          {whole.repeated}, {whole.repeated_in_time} while the earlier one was within its days",
        f"saved, estimated  {money(whole.local)}; at least {money(whole.lowest)}",
        f"exposures avoided {whole.exposures}",
    ]
    for title, groups in (("month", sums.by_month), ("sender", sums.by_sender), ("examination", sums.by_examination)):
        rows = [[key, one.used, one.repeated, money(one.local), one.exposures] for key, one in groups.items()]
        lines += ["", *table(rows, head=[title, "avoided", "repeated", "saved", "exposures"])]
    lines += ["", *table([[k, n] for k, n in sums.by_reason.items()], head=["reason to repeat", "times"])]
    show(plain(sums), lines, as_json=as_json)


@app.command()
def export(
    months: Months = 12,
    out: Annotated[Path | None, typer.Option(help="A .csv or .pdf file; without it CSV is printed.")] = None,
    language: Annotated[str, typer.Option(help="vi or en, of a PDF.")] = "vi",
    as_json: Json = False,
) -> None:
    """The ledger to hand over, as CSV (one decision a line, no patient in it) or PDF."""
    from hie_node.ledger_report import as_csv, entries_of

    house = open_house()
    entries = entries_of(house, months=months)
    if out is None:
        sys.stdout.write(as_csv(entries))
        return
    if out.suffix == ".pdf":
        out.write_bytes(_pdf(house, months, language))
    elif out.suffix == ".csv":
        out.write_text("\ufeff" + as_csv(entries), "utf-8", newline="")
    else:
        raise ValueError(f"{out}: expected a name that ends with .csv or .pdf")
    show({"file": str(out), "decisions": len(entries)}, [f"{out}: {len(entries)} decisions"], as_json=as_json)


def _pdf(house: House, months: int, language: str) -> bytes:
    from functools import partial

    from hie_node.ledger_report import as_pdf
    from hie_node.web.wording import Language, say

    if language not in ("vi", "en"):
        raise ValueError("--language: expected vi or en")
    chosen: Language = "en" if language == "en" else "vi"
    names = {str(p.community.facility): p.community.name for p in house.directory.current().peers}
    return as_pdf(house, months=months, say=partial(say, chosen), language=chosen, names=names, what=str)
