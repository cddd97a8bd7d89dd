"""A node that would endanger patients does not start, and a command that fails says in one line what to do."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.store.people import User
from adapters.trust.directory import entry_of
from adapters.trust.errors import KeyUnusable
from adapters.trust.keys import SigningKeys
from consent.requesters import Role
from hie_node.bootstrap import build, check_tls
from hie_node.commands.node import add_client, add_user
from hie_node.commands.output import home_option
from hie_node.init import NewNode, create, derived_community, own_entry
from hie_node.lab import nodes
from hie_node.peer_list import admit
from hie_node.serve import serve
from hie_node.setting_tables import UnsafeSettings
from hie_node.settings import Settings, load
from registry.errors import InvalidValue, StorageUnavailable
from registry.identifiers import FacilityCode


@pytest.fixture
def node(tmp_path: Path) -> Settings:
    community = derived_community("01001")
    made = NewNode("Bệnh viện X", FacilityCode("01001"), community, f"{community}.1", lab=True)
    return create(tmp_path / "node", made)


def changed(node: Settings, old: str, new: str) -> Path:
    file = node.home / "node.toml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")
    return node.home


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("lab = true", 'lab = "false"', "lab: expected true or false"),
        ("workers = 1", "workers = 0", "out of range"),
        ("workers = 1", 'workers = "2"', "a whole number"),
        ("workers = 1", "workers = true", "a whole number"),
        ("port = 8443", "port = 70000", "out of range"),
        ("[ops]", "[ops]\nfoo = 1", "host, port, url"),
        ("lab = true", 'lab = true\nhonoured_requests = "01929"', "expected a list"),
        ("lab = true", 'lab = true\nhonoured_requests = ["Bach Mai"]', "facility codes, communities"),
        ("lab = true", "lab = true\nhonoured_requests = [1929]", "facility codes, communities"),
        ("[ops]", '[limits]\nanswer_budget = "2"\n[ops]', "answer_budget: expected a number"),
        ("[ops]", "[limits]\nanswer_budget = -2\n[ops]", "out of range"),
        ("[ops]", '[subscriptions]\nendpoints = "*.example"\n[ops]', "endpoints: expected a list"),
        ("[ops]", "[subscriptions]\nendpoints = [1]\n[ops]", "endpoints: expected a list"),
        ("[ops]", "[subscriptions]\nseconds = 0\n[ops]", "out of range"),
        ('name = "Bệnh viện X"\n', "", "name is missing"),
        ('facility_code = "01001"', "facility_code = 1001", "facility_code: expected a text"),
        ("lab = true", 'lab = true\nissuers = "BV_X"', "issuers: expected a list"),
        ("lab = true", 'lab = true\nholidays = ["Tết"]', "holidays: expected days"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_refused_and_named(node: Settings, old: str, new: str, said: str) -> None:
    """`lab = "false"` is a text, and texts count as yes."""
    with pytest.raises(UnsafeSettings, match=said):
        load(changed(node, old, new))


@pytest.mark.parametrize("endpoint", ["https://his.example", "his.example/told", "his.example:x", ""])
def test_an_endpoint_that_is_no_place_is_refused(node: Settings, endpoint: str) -> None:
    settings = load(changed(node, "[ops]", f'[subscriptions]\nendpoints = ["{endpoint}"]\n[ops]'))
    with pytest.raises(UnsafeSettings, match="endpoints"):
        settings.check()


@pytest.mark.parametrize("title", ["BENHVIENBACHMAI01", "", "HIE 1 ", "VIỆN", "HIE/X\\\\Y"])
def test_a_dicom_title_that_no_association_can_carry_is_refused(node: Settings, title: str) -> None:
    """Of a longer one a caller sends the first sixteen characters, which are those of nobody."""
    file = node.home / "node.toml"
    text = re.sub('dicom_aet = ".*"', lambda _: f'dicom_aet = "{title}"', file.read_text("utf-8"))
    file.write_text(text, "utf-8")
    with pytest.raises(UnsafeSettings, match=r"\[node\] dicom_aet: expected 1 to 16 ASCII characters"):
        load(node.home).check()


@pytest.mark.parametrize("name", ["node.crt", "house.crt", "federation-ca.crt", "node.key", "house.key"])
def test_a_missing_certificate_or_key_is_named(node: Settings, name: str) -> None:
    (node.tls / name).unlink()
    with pytest.raises((UnsafeSettings, KeyUnusable), match=name):
        build(node)


def test_a_certificates_key_that_others_can_read_is_refused(node: Settings) -> None:
    """Outside the lab."""
    (node.tls / "house.key").chmod(0o644)
    with pytest.raises(KeyUnusable, match="0600"):
        check_tls(replace(node, lab=False))


def test_a_node_whose_database_was_away_is_made_at_the_next_try(tmp_path: Path) -> None:
    community = derived_community("01001")
    made = NewNode("Bệnh viện X", FacilityCode("01001"), community, f"{community}.1", lab=True)
    with pytest.raises(StorageUnavailable):
        create(tmp_path / "node", replace(made, database_url="postgresql://hie@127.0.0.1:1/hie"))
    create(tmp_path / "node", made)


def test_two_doors_at_one_port_are_refused(node: Settings) -> None:
    with pytest.raises(UnsafeSettings, match="port 9443 is that of two doors"):
        load(changed(node, "port = 8443", "port = 9443")).check()


def test_a_taken_port_of_a_listener_is_told_too(node: Settings) -> None:
    """Its process would only die and be started again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        node = replace(node, house=replace(node.house, port=0), peer=replace(node.peer, port=0), dicom_port=port)
        with pytest.raises(UnsafeSettings, match=rf"dicom_port.*{port}"):
            serve(replace(node, ops=replace(node.ops, port=0), mllp_port=0))


def test_a_taken_port_is_told_once_with_its_number(node: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        home = changed(node, "port = 8443", f"port = {port}")
        with pytest.raises(UnsafeSettings, match=rf"\[house\].*{port}"):
            serve(load(home))


@pytest.mark.parametrize("slugs", [["../evil"], ["a/b"], [""], []])
def test_a_lab_makes_nothing_outside_its_folder(tmp_path: Path, slugs: list[str]) -> None:
    with pytest.raises(nodes.LabFailed):
        nodes.up(tmp_path / "lab", slugs)
    assert not (tmp_path / "lab").exists()
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "No such command"),
        (["find"], "say who"),
        (["find", "--number", "1", "--purpose", "FOO"], "TREAT"),
        (["find", "--number", "1", "--limit", "0"], "--limit"),
        (["mpi", "merge", "a", "b"], "--as"),
        (["peers", "add", "node.toml"], "node.toml: not a JSON file"),
        (["peers", "suspend", "55555"], "55555"),
        (["lab", "down", "--home", "nowhere"], "hie lab up"),
        (["users", "end-sessions", "nobody"], "account"),
        (["feeds", "list", "--outcome", "lost"], "stored, replaced"),
        (["audit", "search", "--days", "-1"], "--days"),
        (["init", "new", "--name", "X", "--facility-code", "01001", "--house-port", "70000"], "--house-port"),
        (
            ["init", "new", "--lab", "--name", "X", "--facility-code", "01001", "--public-host", "https://x/"],
            "a name or",
        ),
        (["--home", "nowhere", "check"], "hie init"),
    ],
)
def test_a_command_that_fails_says_so_in_one_line(node: Settings, words: list[str], said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "hie_node", *words],
        cwd=node.home,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode in (1, 2)
    assert ended.stderr.startswith("hie: ") and ended.stderr.count("\n") == 1
    assert said in ended.stderr


def test_a_name_that_is_taken_is_said_before_the_password_is_read(node: Settings) -> None:
    house = build(node)
    with house.storage.begin() as unit:
        unit.people_of_the_house.add_user(User("bs.minh", "x", Role.DOCTOR, "Minh"))
    house.storage.close()
    home_option.set(node.home)
    with pytest.raises(ValueError, match=r"bs\.minh already"):
        add_user("bs.minh", "doctor", "Minh")


def test_a_system_that_is_admitted_is_changed_only_where_that_is_said(node: Settings, tmp_path: Path) -> None:
    home_option.set(node.home)
    keys = tmp_path / "his.jwks"
    keys.write_text('{"keys": [{"kty": "EC", "kid": "his-1"}]}', "utf-8")
    add_client("his", keys)
    with pytest.raises(ValueError, match="his is admitted already"):
        add_client("his", keys, scopes="system/*.cruds")
    add_client("his", keys, scopes="system/*.cruds", replace=True)
    house = build(node)
    with house.storage.read() as unit:
        assert [one.scopes for one in unit.people_of_the_house.clients()] == [("system/*.cruds",)]
    house.storage.close()


def test_an_entry_that_claims_to_be_this_node_is_not_admitted(node: Settings) -> None:
    own = entry_of(own_entry(node, SigningKeys.load(node.keys, lab=True)))
    for entry in (own, own | {"home": "urn:oid:1.2.3"}, own | {"facility": "55555"}):
        with pytest.raises(InvalidValue, match="another hospital's"):
            admit(node, entry)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the lab lets go of what it starts
def test_a_hospital_that_was_only_just_started_is_stopped_too(node: Settings) -> None:
    """Ctrl-C while the lab starts: a node needs seconds until it writes its own process id."""
    nodes._start(node)
    started = nodes._pid(node)
    assert started is not None
    nodes.stop(node)
    assert not nodes._alive(started)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "expected JSON"),
        ('{"version": "1", "wrods": ["x"]}', "version and any of"),
        ('{"version": "1", "words": "x"}', "words: expected a list"),
        ('{"version": "1", "tables": ["XML7"]}', "expected codes and words"),
    ],
)
def test_a_closed_list_that_would_not_close_what_it_should(node: Settings, text: str, said: str) -> None:
    (node.home / "closed_lists.json").write_text(text, "utf-8")
    with pytest.raises(UnsafeSettings, match=said):
        build(node)


def test_a_hospital_closes_more_than_the_law(node: Settings) -> None:
    (node.home / "closed_lists.json").write_text('{"version": "own-1", "words": ["Khoa Bảo vệ"]}', "utf-8")
    house = build(node)
    assert house.closed_lists.sensitivity(texts=("gửi khoa bảo vệ",)) and house.closed_lists.version.endswith("own-1")
    house.storage.close()
