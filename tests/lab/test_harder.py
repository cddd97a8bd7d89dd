"""Lists made harder in one way: nothing is linked that was not linked rightly before."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from hie_node.cli import app
from hie_node.lab.evaluation import Known, evaluate
from hie_node.lab.exports import REALISTIC, exported
from hie_node.lab.harder import WAYS, harder
from hie_node.patient_lists import listed
from registry.weights import shipped


@pytest.mark.parametrize("way", WAYS)
def test_what_a_region_loses_costs_recall_and_never_a_wrong_patient(way: str) -> None:
    lines = [listed(row) for row in harder(exported(700, 61, REALISTIC), way)]
    found = evaluate([Known(one.traits, one.person) for one in lines], shipped())
    assert (found.nobody, found.unaided.false_merges) == (0, 0)


def test_a_way_that_nobody_knows_is_refused() -> None:
    for option in (("--region", "fourth"), ("--harder", "everything")):
        assert (
            CliRunner().invoke(app, ["mpi", "evaluate", "--region", "second", "--count", "10", *option]).exit_code != 0
        )
