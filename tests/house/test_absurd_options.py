"""What a tired administrator types is answered with a sentence, never with a fault or with an empty list."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from hie_node.cli import app


@pytest.mark.parametrize(
    "command",
    [
        "audit search --days 99999999",
        "audit search --days -5",
        "audit search --limit -1",
        "audit opened --by x --days 99999999999",
        "consent statistics --days 999999999",
        "consent emergencies --days 99999999",
        "consent record --evidence /dev/null --number 1 --days 99999999",
        "consent record --evidence /dev/null --number 1 --days 0",
        "consent form --out /dev/null --number 1 --days -1",
    ],
)
def test_a_number_without_sense_is_refused_by_its_option(command: str) -> None:
    said = CliRunner().invoke(app, command.split())
    assert said.exit_code != 0
    assert "Invalid value" in said.output or "range" in str(said.exception), said.output
