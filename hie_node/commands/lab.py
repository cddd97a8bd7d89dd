"""lab, demo: several hospitals on this machine, to train, to try and to show."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from hie_node.commands.output import Json, show

lab = typer.Typer(help="Several hospitals on this machine, with invented people.", no_args_is_help=True)
Home = Annotated[Path, typer.Option("--home", help="The lab's folder.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(lab, name="lab")
    app.command()(demo)


@lab.command()
def up(
    home: Home = Path("lab"),
    hospitals: Annotated[str, typer.Option(help="Which, by commas.")] = "bac-ninh,thai-nguyen,bach-mai",
    detach: Annotated[bool, typer.Option("--detach", help="Come back when all are ready.")] = False,
    as_json: Json = False,
) -> None:
    """Start the hospitals; they are empty until `hie lab seed`."""
    from hie_node.lab import nodes

    made = nodes.up(home, [slug.strip() for slug in hospitals.split(",") if slug.strip()])
    lines = [f"{h['title']}: {h['house_url']}" for h in made["hospitals"]] + [f"see {home / 'lab.json'}"]
    show(made, lines, as_json=as_json)
    if not detach:
        sys.stdout.flush()
        _wait_for_the_end()
        nodes.down(home)


@lab.command()
def seed(
    home: Home = Path("lab"),
    people: Annotated[int, typer.Option(min=1, help="About how many patients in all.")] = 300,
    as_json: Json = False,
) -> None:
    """Publish a year of an invented province."""
    from hie_node.lab import nodes, seeding

    made = seeding.seed(nodes.describe(home), people=people, tell=lambda text: None if as_json else typer.echo(text))
    document = [
        {
            "hospital": s.hospital,
            "visits": s.visits,
            "documents": s.documents,
            "studies": s.studies,
            "refused": s.refused,
        }
        for s in made
    ]
    show(document, [], as_json=as_json)
    raise typer.Exit(1 if any(s.refused for s in made) else 0)


@lab.command()
def down(
    home: Home = Path("lab"),
    remove: Annotated[bool, typer.Option("--remove", help="Also remove the lab's folder.")] = False,
    as_json: Json = False,
) -> None:
    """Stop the hospitals."""
    from hie_node.lab import nodes

    stopped = nodes.down(home)
    if remove and (home / "lab.json").is_file():
        shutil.rmtree(home)
    show({"stopped": stopped}, [f"stopped {stopped}"], as_json=as_json)


@lab.command()
def status(home: Home = Path("lab"), as_json: Json = False) -> None:
    """Which hospitals run, and where."""
    from hie_node.lab import nodes

    found = nodes.describe(home)
    lines = [
        f"{h['title']}: {'runs as ' + str(h['pid']) if h['pid'] else 'down'}  {h['house_url']}"
        for h in found["hospitals"]
    ]
    show(found, lines, as_json=as_json)


def demo(
    home: Annotated[Path | None, typer.Option("--home", help="Keep the lab here; by default a new folder.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Play the story and end.")] = False,
    people: Annotated[int, typer.Option(min=1, help="About how many patients in all.")] = 300,
    slices: Annotated[int, typer.Option(min=1, help="Images of the story's CT.")] = 120,
    as_json: Json = False,
) -> None:
    """Three hospitals, one patient: play the whole story, then stay up to be used."""
    from hie_node.lab import nodes
    from hie_node.lab.demonstration import Demonstration

    folder = home or Path(tempfile.mkdtemp(prefix="hie-demo-"))
    # the story is for people; with --json the last line is the summary and the story goes to standard error
    told = sys.stderr if as_json else sys.stdout
    played = Demonstration(folder, told, people=people, slices=slices)
    ok = False
    try:
        ok = played.play()
        if not once and ok:
            played.stay()
            _wait_for_the_end()
    finally:
        # where it ended before a hospital was made, its own error is the one to be read
        with suppress(nodes.LabFailed):
            nodes.down(folder)
        if home is None and ok:
            shutil.rmtree(folder, ignore_errors=True)
    if not ok:
        typer.echo(f"the logs of the three nodes: {folder}/*/node.log", err=True)
    if as_json:
        sys.stdout.write(json.dumps({"steps": played.summary()}, ensure_ascii=False) + "\n")
    raise typer.Exit(0 if ok else 1)


def _wait_for_the_end() -> None:
    """Until Ctrl-C or SIGTERM."""
    waited = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    signal.sigwait(waited)
