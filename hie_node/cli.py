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
    lab,
    ledger,
    mpi,
    node,
    pacs,
    patients,
    peers,
    quarantine,
    records,
    referrals,
)
from hie_node.commands.output import complain, confess, home_option

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
app.add_typer(patients.app, name="patients")
app.add_typer(mpi.app, name="mpi")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(pacs.app, name="pacs")
app.add_typer(consent.app, name="consent")
app.add_typer(peers.app, name="peers")
app.add_typer(audit.app, name="audit")
app.add_typer(ledger.app, name="ledger")
app.add_typer(feeds.app, name="feeds")
app.add_typer(codes.app, name="codes")
lab.add_to(app)


@app.callback()
def home(
    home: Annotated[
        Path | None, typer.Option("--home", envvar="HIE_HOME", help="The node's folder; by default the current one.")
    ] = None,
) -> None:
    """The command line of a health information exchange node."""
    home_option.set(home)


def main() -> None:
    """Run; whatever goes wrong is one line on standard error, never a stack trace: exit code 1, or 2 for the usage."""
    try:
        sys.exit(app(prog_name="hie", standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is not None:
            context = getattr(error, "ctx", None)
            where = context.command_path if context else "hie"
            if usage():  # a group without a command has printed its help already
                sys.stderr.write(f"hie: {usage().rstrip('.')}; see: {where} --help\n")
            sys.exit(2)
        if not complain(error):
            confess(error)
        sys.exit(1)
