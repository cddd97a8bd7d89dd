"""`hie`: the command line of a node. Every command has --json; every error says what to do next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hie_node.commands import (
    audit,
    codes,
    consent,
    feeds,
    held,
    lab,
    ledger,
    mpi,
    node,
    pacs,
    pairs,
    patients,
    peers,
    quarantine,
    records,
    referrals,
    subscriptions,
)
from hie_node.commands.output import home_option, seal_what_is_left
from hie_node.complaints import end_with

app = typer.Typer(
    name="hie",
    help="The command line of a health information exchange node.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
node.add_to(app)
records.add_to(app)
referrals.add_to(app)
subscriptions.add_to(app)
app.add_typer(patients.app, name="patients")
app.add_typer(mpi.app, name="mpi")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(pairs.app, name="pairs")
app.add_typer(pacs.app, name="pacs")
app.add_typer(consent.app, name="consent")
app.add_typer(held.app, name="held")
app.add_typer(peers.app, name="peers")
app.add_typer(audit.app, name="audit")
app.add_typer(ledger.app, name="ledger")
app.add_typer(feeds.app, name="feeds")
app.add_typer(codes.app, name="codes")
lab.add_to(app)


@app.callback()
def home(
    context: typer.Context,
    home: Annotated[
        Path | None, typer.Option("--home", envvar="HIE_HOME", help="The node's folder; by default the current one.")
    ] = None,
) -> None:
    """The command line of a health information exchange node."""
    home_option.set(home)
    context.call_on_close(seal_what_is_left)


def main() -> None:
    """Run; whatever goes wrong is one line on standard error: exit code 1, or 2 for the usage."""
    end_with(_run)


def _run() -> int:
    try:
        return int(app(prog_name="hie", standalone_mode=False) or 0)
    except typer.Abort:
        return 130
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is None:
            raise
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "hie"
        if usage():  # a group without a command has printed its help already
            sys.stderr.write(f"hie: {usage().rstrip('.')}; see: {where} --help\n")
        return 2
