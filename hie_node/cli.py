"""`hie`: the command line of a node. Every command has --json; every error says what to do next."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hie_node.commands import audit, consent, lab, mpi, node, patients, peers, records
from hie_node.commands.output import complain, home_option

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
app.add_typer(patients.app, name="patients")
app.add_typer(mpi.app, name="mpi")
app.add_typer(consent.app, name="consent")
app.add_typer(peers.app, name="peers")
app.add_typer(audit.app, name="audit")
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
    """Run; what a person can mend is one line on standard error and exit code 1, never a stack trace."""
    try:
        app(prog_name="hie")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        if not complain(error):
            raise
        sys.exit(1)
