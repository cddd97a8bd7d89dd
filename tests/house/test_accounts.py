"""Who may come in: at the command line somebody is shut out and let in again, and the record says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters.store.people import Client
from consent.requesters import Role
from hie_node.cli import app
from hie_node.commands.output import home_option
from registry.errors import NotFound
from tests.house.test_mpi_commands import REGISTRAR, Node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    before = home_option.set(None)
    made = Node(tmp_path / "node")
    with made.house.storage.begin() as unit:
        unit.people_of_the_house.add_client(Client("his", {"keys": []}, ("system/*.rs",), Role.SYSTEM, (), "HIS"))
    yield made
    made.house.storage.close()
    home_option.reset(before)


@pytest.mark.parametrize(("group", "account"), [("users", REGISTRAR), ("clients", "his")])
def test_an_account_that_was_disabled_is_enabled_as_it_was(node: Node, group: str, account: str) -> None:
    before = node.says(group, "list")
    assert node.says(group, "disable", account)["disabled"] is True
    assert [one["disabled"] for one in node.says(group, "list")] == [True]
    assert node.says(group, "enable", account)["disabled"] is False
    assert node.says(group, "list") == before
    assert recorded(node) == [
        (f"hie {group}", (account,), {"account-disabled": 1}),
        (f"hie {group}", (account,), {"account-enabled": 1}),
    ]


@pytest.mark.parametrize("group", ["users", "clients"])
@pytest.mark.parametrize("what", ["disable", "enable"])
def test_an_account_that_is_not_there_is_named_as_such(node: Node, group: str, what: str) -> None:
    with pytest.raises(NotFound):
        node.says(group, what, "nobody")


def recorded(node: Node) -> list[tuple[str, tuple[str, ...], dict[str, int]]]:
    with node.house.storage.read() as unit:
        rows = [row for _, row in unit.disclosures.sealed_rows(0, unit.disclosures.count())]
    return [(row.transaction, row.items, dict(row.reasons)) for row in rows if "account" in " ".join(row.reasons)]


@pytest.mark.parametrize("chosen", [False, True])
def test_a_password_that_was_set_for_somebody_has_to_be_changed_unless_they_chose_it(node: Node, chosen: bool) -> None:
    def typed(*command: str) -> None:
        options = ["--chosen"] if chosen else []
        found = CliRunner().invoke(app, ["--home", str(node.home), *command, *options], input="một câu dài dễ nhớ\n")
        assert found.exit_code == 0, found.output

    def given(username: str) -> bool:
        with node.house.storage.read() as unit:
            user = unit.people_of_the_house.user(username)
        assert user is not None
        return user.has_to_choose

    assert not given(REGISTRAR)
    typed("users", "add", "bs.moi", "--role", "doctor", "--name", "BS. Mới")
    typed("users", "set-password", REGISTRAR)
    assert given("bs.moi") is given(REGISTRAR) is not chosen
    node.says("users", "disable", "bs.moi")
    node.says("users", "enable", "bs.moi")
    assert given("bs.moi") is not chosen


def test_a_system_is_admitted_and_given_other_keys_on_record(node: Node, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text('{"keys": [{"kty": "EC", "kid": "1"}]}', "utf-8")
    node.says("clients", "add", "ris", str(keys))
    with pytest.raises(ValueError, match="--replace"):
        node.says("clients", "add", "ris", str(keys))
    node.says("clients", "add", "ris", str(keys), "--replace")
    assert recorded(node) == [
        ("hie clients", ("ris",), {"account-made": 1}),
        ("hie clients", ("ris",), {"account-replaced": 1}),
    ]
