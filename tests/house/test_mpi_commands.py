"""The patient index at the command line: what a registrar decides, what an administrator changes, and the way back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, text
from typer.testing import CliRunner

from adapters.store.people import User
from adapters.store.schema import blocking_key
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node.acts import Act, Caller
from hie_node.bootstrap import build
from hie_node.cli import app
from hie_node.commands.output import home_option
from hie_node.flows.register import save_record
from hie_node.house import House
from hie_node.init import NewNode, create
from hie_node.settings import load
from registry.errors import InvalidValue, NotFound
from registry.identifiers import NATIONAL_ID, FacilityCode, HomeCommunityId, PatientIdentifier
from registry.identity_changes import Learnt
from registry.matching import CorroboratedNumber
from registry.people import BirthDate, Demographics, HumanName, SourceRecord
from registry.weights import shipped, written

LAN = Demographics(HumanName("Nguyễn Thị Lan"), BirthDate("1958-03-21"), "female", ("0105551234",))
AS_A_MAN = Demographics(LAN.name, LAN.birth_date, "male", LAN.phones)
NUMBER = PatientIdentifier(NATIONAL_ID, "960158004321")
REGISTRAR = "tn.tuan"


class Node:
    """A node of its own in a folder, and its command line."""

    def __init__(self, home: Path) -> None:
        community = HomeCommunityId("urn:oid:1.2.3.4")
        create(home, NewNode("Bắc Ninh", FacilityCode("27001"), community, "urn:his", "127.0.0.1", lab=True))
        self.home, self.house = home, build(load(home))
        with self.house.storage.begin() as unit:
            unit.people_of_the_house.add_user(User(REGISTRAR, "no password", Role.REGISTRAR, "Tuấn"))

    def registers(self, key: str, said: Demographics, *numbers: PatientIdentifier, house: House | None = None) -> str:
        """The id of the record."""
        requester = Requester("his", Role.SYSTEM, self.house.home, purpose=PurposeOfUse.TREAT)
        act = Act(house or self.house, Caller(requester, "house"), "ITI-104")
        with act.unit() as unit:
            local = PatientIdentifier("urn:his", key)
            return save_record(act, unit, SourceRecord("", local, said, numbers), unit.patients.record(local)).record.id

    def says(self, *command: str) -> Any:
        found = CliRunner().invoke(app, ["--home", str(self.home), *command, "--json"])
        if found.exception is not None:
            raise found.exception
        return json.loads(found.stdout)

    def person(self, record_id: str) -> str | None:
        with self.house.storage.read() as unit:
            return unit.patients.person_of(record_id)

    def state(self) -> list[tuple[Any, ...]]:
        """Which record belongs to which person, which links stand, which doubts wait."""
        with self.house.storage.read() as unit:
            everybody = [(record.id, person, record.active) for person, record in unit.patients.everybody()]
            links = [one.id for _, person, _ in everybody for one in unit.patients.links_of(person) if not one.undone]
            return [*everybody, tuple(sorted(set(links))), tuple(one.id for one in unit.patients.reviews())]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    before = home_option.set(None)
    made = Node(tmp_path / "node")
    yield made
    made.house.storage.close()
    home_option.reset(before)


def test_same_person_takes_all_records_along_and_undoing_restores_exactly_what_was(node: Node) -> None:
    first = node.registers("1", LAN)
    second = node.registers("2", AS_A_MAN)
    third = node.registers("3", AS_A_MAN, NUMBER)
    assert node.person(first) != node.person(second) == node.person(third)
    doubt = node.says("mpi", "review")["items"][0]["id"]
    before = node.state()
    node.says("mpi", "merge", doubt, "--as", REGISTRAR)
    assert node.person(first) == node.person(second) == node.person(third)
    assert node.says("mpi", "undo", doubt, "--as", REGISTRAR)["taken_back"] == "same person"
    assert node.state() == before


def test_any_link_of_the_decision_undoes_all_of_it(node: Node) -> None:
    first, second = node.registers("1", LAN), node.registers("2", AS_A_MAN)
    node.registers("3", AS_A_MAN, NUMBER)
    doubt = node.says("mpi", "review")["items"][0]["id"]
    before = node.state()
    node.says("mpi", "merge", doubt, "--as", REGISTRAR)
    made = [one["id"] for one in node.says("mpi", "explain", first)["links"] if one["rule"] == "decided-by-a-person"]
    node.says("mpi", "unmerge", made[-1], "--as", REGISTRAR)
    assert node.person(first) != node.person(second)
    assert node.state() == before


def test_which_hospital_was_told_of_what_is_shown_with_its_state(node: Node) -> None:
    assert node.says("mpi", "notices") == []
    first, second = node.registers("1", LAN), node.registers("2", AS_A_MAN)
    doubt = node.says("mpi", "review")["items"][0]["id"]
    peer = HomeCommunityId("urn:oid:1.2.3.5")
    with node.house.storage.begin() as unit:
        unit.identities.learn([Learnt(peer, second, (NUMBER,), node.house.now())])
    node.says("mpi", "merge", doubt, "--as", REGISTRAR)
    (told,) = node.says("mpi", "notices", "--waiting")
    assert (told["hospital"], told["state"], told["change"]) == (str(peer), "waiting", "merged")
    assert told["records"] == [second] != [first]
    assert NUMBER.value not in str(told)
    with node.house.storage.begin() as unit:
        unit.identities.answered(told["id"], now=node.house.now(), acknowledged=True)
    assert node.says("mpi", "notices", "--waiting") == []
    assert [one["state"] for one in node.says("mpi", "notices")] == ["acknowledged"]


def test_kept_apart_can_be_taken_back_and_all_of_it_is_on_record(node: Node) -> None:
    node.registers("1", LAN), node.registers("2", AS_A_MAN)
    doubt = node.says("mpi", "review")["items"][0]["id"]
    before = node.state()
    node.says("mpi", "keep-apart", doubt, "--as", REGISTRAR)
    assert node.says("mpi", "review")["items"] == []
    node.says("mpi", "undo", doubt, "--as", REGISTRAR)
    assert node.state() == before
    with pytest.raises(NotFound):
        node.says("mpi", "undo", doubt, "--as", REGISTRAR)
    with node.house.storage.read() as unit:
        assert unit.disclosures.count() >= 4


def test_a_registrar_reads_why_two_records_are_one_person_and_why_not(node: Node) -> None:
    first, second = node.registers("1", LAN, NUMBER), node.registers("2", LAN, NUMBER)
    (link,) = node.says("mpi", "explain", second)["links"]
    assert link["rule"] == f"weighing/{shipped().version}"
    assert any(line.startswith("personal number same +") for line in link["evidence"])
    other = node.registers("3", AS_A_MAN)
    told = node.says("mpi", "explain", other, first)
    assert told["one_person"] is False
    assert "the sex contradicts it" in told["evidence"]
    assert "Lan" not in json.dumps(told)
    with pytest.raises(NotFound):
        node.says("mpi", "explain", "nobody")


def test_a_link_of_the_rule_that_a_registrar_undid_is_not_made_again_by_the_next_message(node: Node) -> None:
    first, second = node.registers("1", LAN, NUMBER), node.registers("2", LAN, NUMBER)
    (link,) = node.says("mpi", "explain", second)["links"]
    node.says("mpi", "unmerge", link["id"], "--as", REGISTRAR)
    node.registers("2", replace(LAN, phones=("0105559876",)), NUMBER)
    assert node.person(first) != node.person(second)
    assert node.says("mpi", "review")["items"] == []


def test_relinking_shows_what_would_change_then_changes_it_and_each_link_can_be_undone(node: Node) -> None:
    strict = replace(node.house, matcher=CorroboratedNumber())
    with_home = Demographics(LAN.name, LAN.birth_date, "female", LAN.phones, mothers_name="Trần Thị Mùi")
    first, second = node.registers("1", with_home, house=strict), node.registers("2", with_home, house=strict)
    assert node.person(first) != node.person(second)
    before = node.state()
    shown = node.says("mpi", "relink", "--dry-run")
    assert (shown["join"], shown["moved"]) == (1, 0)
    assert shown["examples"][0]["evidence"]
    assert node.state() == before
    assert node.says("mpi", "relink", "--as", REGISTRAR)["moved"] == 1
    assert node.person(first) == node.person(second)
    (link,) = node.says("mpi", "explain", second)["links"]
    assert (link["author"], bool(link["evidence"])) == (REGISTRAR, True)
    node.says("mpi", "unmerge", link["id"], "--as", REGISTRAR)
    assert node.person(first) != node.person(second)
    assert node.says("mpi", "relink", "--dry-run")["join"] == 0, "what a person undid is not done again"


def test_a_model_learnt_here_is_kept_apart_until_somebody_takes_it(node: Node) -> None:
    for number in range(60):
        born = BirthDate(f"19{40 + number % 50}-0{1 + number % 9}-1{number % 9}")
        node.registers(
            str(number), Demographics(HumanName(f"Nguyễn Văn {'Bảy' if number % 2 else 'Tám'}"), born, "male")
        )
    told = node.says("mpi", "train", "--pairs", "500")
    assert (told["records"], Path(told["file"]).name) == (60, "matching_model.new.json")
    assert told["held_out"]["present"] == shipped().version
    assert (told["worse"], told["held_out"]["after"]["mistaken"]) == (False, 0)
    assert not (node.home / "matching_model.json").exists(), "nobody said that it is to be used"
    assert node.says("mpi", "relink", "--dry-run", "--model", told["file"])["records"] == 60
    drifted = node.says("mpi", "drift")
    assert drifted["missing"]["phone"] == 1.0
    assert ["given", "bai"] in [one[:2] for one in drifted["more_common_than_assumed"]]


def test_a_model_for_lists_without_twins_is_for_lists_alone(node: Node, tmp_path: Path) -> None:
    rows, model = tmp_path / "abroad.csv", tmp_path / "abroad.json"
    node.says("mpi", "invent", "--out", str(rows), "--region", "abroad", "--count", "400")
    node.says("mpi", "train", "--in", str(rows), "--only-strangers", "--out", str(model))
    found = node.says("mpi", "link", "--in", str(rows), "--out", str(tmp_path / "out.csv"), "--model", str(model))
    assert 190 <= found["clusters"] <= 215
    for refused in (["train", "--only-strangers"], ["relink", "--dry-run", "--model", str(model)]):
        with pytest.raises(SystemExit):
            node.says("mpi", *refused)
    (node.home / "matching_model.json").write_text(model.read_text("utf-8"), "utf-8")
    with pytest.raises(InvalidValue, match="a model for patients"):
        node.says("mpi", "drift")


def test_an_upgrade_fills_the_index_anew_so_that_nobody_has_to_be_registered_again(node: Node) -> None:
    node.registers("1", LAN, NUMBER)
    with node.house.storage.begin() as unit:
        connection = unit.patients._connection
        connection.execute(delete(blocking_key))
        connection.execute(text("UPDATE index_version SET version = 1"))
    with pytest.raises(Exception, match="hie upgrade"):
        node.says("mpi", "review")
    assert node.says("upgrade")["reindexed"] == 1
    assert node.says("upgrade")["reindexed"] == 0
    second = node.registers("2", LAN, NUMBER)
    assert len(node.says("mpi", "explain", second)["links"]) == 1


def test_a_hospital_may_keep_to_shared_numbers_and_may_bring_its_own_model(node: Node) -> None:
    settings = (node.home / "node.toml").read_text("utf-8")
    (node.home / "node.toml").write_text(settings.replace("lab = true", "lab = true\nstrict_matching = true"), "utf-8")
    assert build(load(node.home)).matcher.rule == "corroborated-number/1"
    (node.home / "node.toml").write_text(settings, "utf-8")
    (node.home / "matching_model.json").write_text(written(shipped()).replace(shipped().version, "ours"), "utf-8")
    assert build(load(node.home)).matcher.rule == "weighing/ours"


def test_doubts_come_in_pages_the_newest_first_and_say_how_many_wait(node: Node) -> None:
    node.registers("1", LAN), node.registers("2", AS_A_MAN)
    older = node.says("mpi", "review")["items"][0]["id"]
    other = replace(LAN, name=HumanName("Trần Thị Mai"), birth_date=BirthDate("1991-07-02"), phones=("0105557777",))
    node.registers("3", other), node.registers("4", replace(other, gender="male"))
    first, second = (node.says("mpi", "review", "--limit", "1", "--page", page) for page in ("1", "2"))
    assert (first["waiting"], first["more"], second["more"]) == (2, True, False)
    assert first["items"][0]["id"] != older == second["items"][0]["id"]
    assert node.says("mpi", "review", "--kind", "overlay") == {"waiting": 0, "items": [], "more": False}
