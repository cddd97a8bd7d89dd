"""`hie`, also as `python -m hie_node`.

A node that is served needs nothing of the command line's libraries, and all of its processes would carry them for as
long as they run: so `serve` is read here, and everything else in `hie_node/cli.py`.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hie_node.complaints import end_with
from hie_node.late_methods import make_methods_late


def main() -> None:
    make_methods_late()
    home = served(sys.argv[1:])
    if home is None:
        from hie_node.cli import main as command_line

        command_line()
    else:
        end_with(lambda: serve_home(home))


def served(arguments: Sequence[str]) -> Path | None:
    """The home in `serve`, `--home HOME serve` and `--home=HOME serve`; None for all other commands."""
    match arguments:
        case ["serve"]:
            return Path(os.environ.get("HIE_HOME") or Path.cwd())
        case ["--home", home, "serve"]:
            return Path(home)
        case [joined, "serve"] if joined.startswith("--home="):
            return Path(joined.removeprefix("--home="))
        case _:
            return None


def serve_home(home: Path) -> int:
    """Run the node of this home until it is told to stop. The order matters: see each import."""
    gc.disable()  # what is imported stays: to look through it again and again takes a fifth of the start
    from hie_node import log
    from hie_node.settings import load

    log.configure()
    settings = load(home)
    settings.check()  # before anything is made in the home: as root, it would be nobody else's
    # processes share their counters only if the library knows it when it is imported
    settings.counters.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(settings.counters)
    from hie_node.serve import serve

    return serve(settings)


if __name__ == "__main__":
    main()
