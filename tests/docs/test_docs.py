"""What is written for readers is true: settings, limits, transactions, commands, links and examples."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest

from hie_node.edge.limits import EdgeLimits
from hie_node.setting_tables import Limits
from hie_node.settings import Settings
from tests.docs.tables import DOCS, ROOT, TABLES, every_command, field_words, pages, with_tables

READERS = ("hospital", "doctor", "registrar", "consent-desk", "administrator", "patient", "systems")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"(?:registry|consent|adapters|hie_node|deploy|tests|docs)/[\w./-]*\w")


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", pages(), ids=page_id)
def test_tables_made_from_the_code_are_up_to_date(page: Path) -> None:
    text = page.read_text("utf-8")
    assert with_tables(text) == text, "write the tables again: ./run docs"


def test_every_table_stands_somewhere() -> None:
    everything = "\n".join(page.read_text("utf-8") for page in pages())
    assert {name for name in TABLES if f"<!-- table: {name} -->" in everything} == set(TABLES)


@pytest.mark.parametrize("owner", [Settings, Limits, EdgeLimits])
def test_every_setting_says_what_it_is(owner: type) -> None:
    assert set(field_words(owner)) == {one.name for one in fields(owner)}


def test_every_limit_that_can_be_set_has_an_effect() -> None:
    rooms = [path for room in ("hie_node", "adapters") for path in (ROOT / room).rglob("*.py")]
    code = "\n".join(path.read_text("utf-8") for path in rooms if path.name not in ("settings.py", "setting_tables.py"))
    unused = [one.name for one in fields(Limits) if not re.search(rf"limits\.{one.name}\b", code)]
    assert unused == []


def test_each_reader_has_a_page_that_the_front_page_leads_to() -> None:
    front = (ROOT / "README.md").read_text("utf-8")
    assert [name for name in READERS if f"docs/{name}.md" not in front] == []
    assert [name for name in READERS if not (DOCS / f"{name}.md").is_file()] == []


@pytest.mark.parametrize("page", pages(), ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    for found in _LINK.finditer(page.read_text("utf-8")):
        target, _, place = (found[1] or found[2]).partition("#")
        if target.startswith(("https://", "http://")):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), found[0]
        if place:
            assert place in _headings(file), found[0]


def _headings(page: Path) -> set[str]:
    lines = (line for line in page.read_text("utf-8").splitlines() if line.startswith("#"))
    return {re.sub(r"[^\w\s-]", "", line.lstrip("# ").lower()).strip().replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", pages(), ids=page_id)
def test_files_that_are_named_are_there(page: Path) -> None:
    text = _FENCE.sub("", page.read_text("utf-8"))
    named = {name for code in _CODE.findall(text) for name in _PATH.findall(code) if code.startswith(name)}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", pages(), ids=page_id)
def test_commands_that_are_shown_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    inline = [code for code in _CODE.findall(_FENCE.sub("", text)) if code.startswith(("hie ", "./run "))]
    fenced = [line for kind, body in _FENCE.findall(text) if kind == "sh" for line in body.splitlines()]
    known = set(every_command())
    groups = {name.rpartition(" ")[0] for name in known}
    for line in inline + fenced:
        named = _named(line)
        assert named is None or named in known or named in groups, line


@cache
def _shown_by_run() -> str:
    return subprocess.run([ROOT / "run", "help"], capture_output=True, text=True, check=True, timeout=30).stdout


def _named(line: str) -> str | None:
    """The command of `hie` that a line runs, or None when it runs something else."""
    words = shlex.split(line.replace("…", "X"), comments=True)
    if "./run" in words[:2]:
        below = words[words.index("./run") + 1 :]
        assert not below or f"./run {below[0]} " in _shown_by_run(), line
        words = below if below[:1] == ["hie"] else []
    if "hie" not in words:
        return None
    below = words[words.index("hie") + 1 :]
    while below[:1] and below[0].startswith("-"):
        below = below[2:] if below[0] == "--home" else below[1:]
    named = "hie"
    for word in below:
        if f"{named} {word}" not in {name[: len(f"{named} {word}")] for name in every_command()}:
            break
        if not re.fullmatch(r"[a-z-]+", word):
            break
        named += f" {word}"
        if named in every_command():
            break
    return named


def test_every_command_has_its_place_in_the_administrators_page() -> None:
    page = (DOCS / "administrator.md").read_text("utf-8")
    assert [name for name in every_command() if f"`{name}`" not in page] == []


def test_every_decision_is_listed() -> None:
    listed = (DOCS / "architecture.md").read_text("utf-8")
    assert [file.name for file in (DOCS / "decisions").glob("*.md") if file.name not in listed] == []


def test_the_picture_is_well_formed_and_brings_nothing_from_elsewhere() -> None:
    picture = (DOCS / "picture.svg").read_text("utf-8")
    assert "<script" not in picture
    assert re.findall(r"(?:href|src)=\"http", picture) == []


def test_the_version_of_the_changelog_is_the_version_of_the_program() -> None:
    program = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    newest = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] == program


def test_the_example_on_the_page_is_the_file_that_runs() -> None:
    shown = (DOCS / "systems.md").read_text("utf-8")
    assert (DOCS / "examples" / "ask.py").read_text("utf-8") in shown


@pytest.mark.lab
def test_the_example_asks_a_hospital_and_gets_its_line(tmp_path: Path) -> None:
    def hie(*arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "hie_node", "lab", *arguments], cwd=ROOT, check=True, timeout=120)

    hie("up", "--home", str(tmp_path / "lab"), "--hospitals", "bach-mai", "--detach")
    try:
        example = [sys.executable, DOCS / "examples" / "ask.py", tmp_path / "lab" / "lab.json", "bach-mai"]
        asked = subprocess.run([*example, "000000001"], capture_output=True, text=True, check=False, timeout=60)
        token = subprocess.run([*example, "--token"], capture_output=True, text=True, check=False, timeout=60)
        soap = [example[0], DOCS / "examples" / "soap.py", *example[2:], "000000001", DOCS / "picture.svg"]
        given = {**os.environ, "TOKEN": token.stdout.strip()}
        refused = subprocess.run(soap, capture_output=True, text=True, check=False, timeout=60, env=given)
    finally:
        hie("down", "--home", str(tmp_path / "lab"))
    assert (asked.returncode, asked.stderr) == (0, "")
    assert asked.stdout.startswith("Bệnh viện Bạch Mai (01929): answered")
    assert token.stdout.count(".") == 2
    assert refused.returncode == 1
    assert refused.stderr.startswith("XDSUnknownPatientId: ")
