"""Lists of registrations at the command line: any dirty file has an outcome that somebody can act on."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from unicodedata import normalize

import pytest
from typer.testing import CliRunner

from hie_node.cli import app
from hie_node.lab.evaluation import Known, evaluate
from hie_node.lab.stations import listed_by_stations
from hie_node.patient_lists import birth_date, listed, read_list
from registry.errors import InvalidValue
from registry.weights import shipped

HEAD = "record_id,full_name,sex,birth_date,national_id,phone,source,local_id\n"
LAN = "a,Nguyễn Thị Lan,Nữ,21/03/1958,960158004321,0101234567,BV01,1\n"


INVENT = ("mpi", "invent", "--count", "2000", "--seed", "53")


def link(tmp_path: Path, text: str | bytes) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """What `hie mpi link` made of this file: its lines, and the pairs for a person."""
    source, out, pairs = (tmp_path / name for name in ("in.csv", "out.csv", "pairs.csv"))
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    command = ["mpi", "link", "--in", str(source), "--out", str(out), "--review", str(pairs)]
    found = CliRunner().invoke(app, command)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    assert [path.name for path in tmp_path.glob(".*")] == []
    return read(out), read(pairs)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_list_becomes_clusters_with_zone_and_score(tmp_path: Path) -> None:
    again = "b,NGUYEN THI LAN,2,1958-03-21,960158004321,,BV02,9\n"
    other = "c,Trần Văn Bảy,Nam,1990,,,BV02,10\n"
    lines, pairs = link(tmp_path, HEAD + LAN + again + other)
    assert [(line["record_id"], line["cluster_id"], line["zone"]) for line in lines] == [
        ("a", "a", "new"), ("b", "a", "link"), ("c", "c", "new"),
    ]  # fmt: skip
    assert float(lines[1]["score"]) > 0
    assert pairs == []


def test_a_list_of_names_from_abroad_is_learnt_from_unless_somebody_chose(tmp_path: Path) -> None:
    """It says so; a list of this country is linked with the weights for patients, and says nothing."""
    invented, out = tmp_path / "abroad.csv", str(tmp_path / "out.csv")
    assert CliRunner().invoke(app, [*INVENT, "--region", "abroad", "--out", str(invented)]).exit_code == 0
    linking = ["mpi", "link", "--in", str(invented), "--out", out]
    learnt, chosen = (CliRunner().invoke(app, [*linking, *more]) for more in ([], ["--model", "shipped"]))
    assert "from abroad: weights learnt from this list" in learnt.stderr and "--model shipped" in learnt.stderr
    assert "learnt" not in chosen.stderr
    found, asked = (
        json.loads(CliRunner().invoke(app, ["mpi", "evaluate", "--truth", str(invented), "--json", *more]).stdout)
        for more in ([], ["--model", "shipped"])
    )
    assert found["f1"] > 0.99
    assert asked["f1"] < 0.9
    assert (found["model"], asked["model"]) == (f"{shipped().version}+abroad", shipped().version)
    assert CliRunner().invoke(app, [*INVENT, "--region", "second", "--out", str(invented)]).exit_code == 0
    assert CliRunner().invoke(app, linking).stderr == ""


def test_a_list_that_cannot_be_invented_leaves_no_file(tmp_path: Path) -> None:
    invented = tmp_path / "first.csv"
    assert CliRunner().invoke(app, [*INVENT, "--region", "first", "--out", str(invented)]).exit_code == 2
    assert not invented.exists()


def test_a_pair_for_a_person_has_its_reasons(tmp_path: Path) -> None:
    lines, pairs = link(tmp_path, HEAD + LAN + "b,Nguyễn Thị Lan,Nam,21/03/1958,,0101234567,BV02,3\n")
    assert lines[1]["zone"] == "review"
    assert (pairs[0]["record_a"], pairs[0]["record_b"]) == ("b", "a")
    assert "the sex contradicts it" in pairs[0]["reasons"]


@pytest.mark.parametrize(
    "text",
    [
        ("\ufeff" + HEAD + LAN).encode(),
        ("\ufeff" + HEAD + LAN).encode("utf-16-le"),
        (HEAD + LAN).replace(",", ";"),
        (HEAD + LAN).replace(",", "\t"),
        (HEAD + LAN).replace("\n", "\r\n"),
        HEAD.upper() + LAN,
        HEAD.replace("\n", ",unheard_of\n") + LAN.replace("\n", ",x\n"),
        HEAD + LAN.replace("Lan", "Lan\x00\x07\u200b"),
        HEAD + LAN.replace("Nguyễn", "Nguyễn" * 2000),
        HEAD + LAN.replace("21/03/1958", "21/03/2999").replace("960158004321", "no'\" number"),
        HEAD + LAN + "\n\n",
        "record_id\na\n",
    ],
)
def test_what_a_file_may_look_like(tmp_path: Path, text: str | bytes) -> None:
    lines, _ = link(tmp_path, text)
    assert [line["record_id"] for line in lines] == ["a"]


def test_no_lines_below_the_head_make_no_lines(tmp_path: Path) -> None:
    assert link(tmp_path, HEAD) == ([], [])


def test_a_field_with_line_breaks_and_quotation_marks_is_one_field(tmp_path: Path) -> None:
    broken = LAN.replace("Nguyễn Thị Lan", '"Nguyễn ""Thị""\r\nLan"')
    lines, _ = link(tmp_path, HEAD + LAN + broken.replace("a,", "b,", 1))
    assert [line["cluster_id"] for line in lines] == ["a", "a"]


@pytest.mark.parametrize("row", ["b", "b,", "b,,,,,,,,,,,,"])
def test_lines_that_are_too_short_or_too_long_are_patients_of_whom_less_is_known(tmp_path: Path, row: str) -> None:
    lines, pairs = link(tmp_path, HEAD + LAN + row + "\n")
    assert [(line["cluster_id"], line["zone"]) for line in lines] == [("a", "new"), ("b", "new")]
    assert pairs == []


def test_text_of_the_windows_table_is_read_as_what_was_meant(tmp_path: Path) -> None:
    """Windows-1258 keeps most tones as marks of their own; a file of it is no UTF-8."""
    written = HEAD.encode() + composed_but_for_tones(normalize("NFD", LAN)).encode("cp1258")
    (tmp_path / "1258.csv").write_bytes(written + b"b,Tr\xe2\xecn V\xe3n B\xe2\xec,Nam,1990,,,BV02,10\n")
    one, other = read_list(tmp_path / "1258.csv")
    assert one.traits.name == listed({"record_id": "a", "full_name": "Nguyễn Thị Lan"}).traits.name
    assert other.traits.name == listed({"record_id": "b", "full_name": "Trấn Văn Bấ"}).traits.name


def composed_but_for_tones(text: str) -> str:
    """As Windows-1258 has it: â, ê, ô, ă, ơ, ư are letters, tones come behind them."""
    found = text
    for mark in "\u0302\u0306\u031b":
        found = "".join(
            normalize("NFC", found[n : n + 2]) if found[n + 1 : n + 2] == mark else found[n]
            for n in range(len(found)) if found[n] != mark
        )  # fmt: skip
    return found


def test_bytes_of_no_table_cost_their_letters_and_not_the_file(tmp_path: Path) -> None:
    lines, _ = link(tmp_path, (HEAD + LAN).encode() + b"b,Tr\xff\xfen \x81\x9d,Nam,1990,,,BV02,10\n")
    assert [line["record_id"] for line in lines] == ["a", "b"]


def test_thousands_of_lines_of_one_patient_are_one_person(tmp_path: Path) -> None:
    rows = "".join(LAN.replace("a,", f"r{n},", 1) for n in range(3_000))
    lines, pairs = link(tmp_path, HEAD + rows)
    assert {line["cluster_id"] for line in lines} == {"r0"}
    assert pairs == []


def test_a_local_number_of_two_people_is_told_and_links_nobody(tmp_path: Path) -> None:
    lines, pairs = link(tmp_path, HEAD + LAN + "b,Trần Văn Bảy,Nam,05/05/1990,,,BV01,1\n")
    assert [(line["cluster_id"], line["zone"]) for line in lines] == [("a", "new"), ("b", "review")]
    assert [(pair["record_a"], pair["record_b"]) for pair in pairs] == [("b", "a")]
    assert "already belongs to somebody else" in pairs[0]["reasons"]


def test_a_file_and_the_measure_group_alike(tmp_path: Path) -> None:
    """`hie mpi link` makes the clusters and asks the pairs that `hie mpi evaluate` is about."""
    truth = tmp_path / "in.csv"
    CliRunner().invoke(app, ["mpi", "invent", "--out", str(truth), "--count", "1500", "--lab", "hostile"])
    measured = evaluate([Known(one.traits, one.person) for one in read_list(truth)], shipped())
    lines, pairs = link(tmp_path, truth.read_bytes())
    ids = [line["record_id"] for line in lines]
    assert [line["cluster_id"] for line in lines] == [ids[cluster] for cluster in measured.clusters]
    assert len(pairs) == measured.reviews
    heads = {line["zone"] for line in lines if line["cluster_id"] == line["record_id"]}
    others = {line["zone"] for line in lines if line["cluster_id"] != line["record_id"]}
    assert (heads, others - {"review"}) == ({"new", "review"}, {"link"})


@pytest.mark.parametrize("level", ["clean", "realistic", "hostile"])
def test_lists_of_a_third_kind_are_linked_as_safely(tmp_path: Path, level: str) -> None:
    """Errors that come from the kind of desk, not by field: nothing of the matcher was chosen on these."""
    rows = [listed(row) for row in listed_by_stations(4_000, 35, level)]
    found = evaluate([Known(one.traits, one.person) for one in rows], shipped())
    assert found.unaided.false_merges <= 3
    assert found.unaided.recall >= {"clean": 0.97, "realistic": 0.89, "hostile": 0.83}[level]
    assert found.after.recall >= {"clean": 0.97, "realistic": 0.93, "hostile": 0.93}[level]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names of columns"),
        ("id,name\n1,x\n", "record_id among them"),
        (HEAD + LAN + LAN, "line 3: record_id: expected an id of its own"),
        (HEAD + LAN + ",Trần Văn Bảy,,,,,,\n", "line 3: record_id"),
        ("record_id,sex,sex\na,1,2\n", "every column once"),
        (HEAD + 'a,"' + "x" * 1_100_000, "quotation mark"),
        (b"PK\x03\x04\x00\x00binary", "names of columns"),
    ],
)
def test_what_is_no_list_is_refused_and_nothing_is_written(tmp_path: Path, text: str | bytes, told: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        link(tmp_path, text)
    assert told in str(refused.value)
    assert not (tmp_path / "out.csv").exists()


DATES = {
    "1958-03-21": "1958-03-21 21/3/1958 19580321 195803210830 1958-03-21T08:30:00 21.03.1958 03/21/1958 1958-3-21"
    " 1958/3/21 21031958 21265 21265.0 19580321.0 ngày-21-tháng-3-năm-1958",
    "1958": "19580000 00/00/1958 3/1958 1958 31/02/1958 1958-00-00 1958.0 195803 năm-1958",
    "1958-05-19": "19051958 19/05/1958 19580519 195805190000",
    "2012-11-20": "20112012 20121120",
    "2010-01-20": "20012010",
    "2001": "20010000 200100",
    "": "2999 khong-ro 000000000000 - 21/3/58 58 0000-00-00 99999",
}


@pytest.mark.parametrize(("meant", "written"), [(day, one) for day, forms in DATES.items() for one in forms.split()])
def test_birth_dates_in_every_form_that_hospitals_write(meant: str, written: str) -> None:
    assert str(birth_date(written) or "") == meant


def test_numbers_and_sexes_are_read_however_they_are_typed(tmp_path: Path) -> None:
    head = "record_id,sex,national_id,insurance_number,local_id,phone\n"
    (tmp_path / "in.csv").write_text(
        f"{head}a,nữ,001158\u00a0004321,GD4 01\u202f7960041583,BN\u00a07,0912\u00a0345 678\n"
        f"b,{normalize('NFD', 'Nữ')},００１１５８００４３２１,GD4017960041583,BN 7,0912345678\n",
        "utf-8",
    )
    one, other = (patient.traits for patient in read_list(tmp_path / "in.csv"))
    assert one.personal == other.personal == {"001158004321"}
    assert one.insurance == other.insurance == {"7960041583"} and one.local == other.local and one.local
    assert one.phones == other.phones and one.phones
    assert [patient.demographics.gender for patient in read_list(tmp_path / "in.csv")] == ["female", "female"]


@pytest.mark.parametrize("twin", ["a\u200b", "a" * 2000])
def test_an_id_is_what_the_list_has_and_comes_out_as_it_went_in(tmp_path: Path, twin: str) -> None:
    lines, _ = link(tmp_path, f"record_id,full_name\n{twin[:-1]},Lê An\n{twin},Trần Bình\n")
    assert {line["record_id"] for line in lines} == {twin[:-1], twin}


def test_an_invented_list_is_linked_and_measured(tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    run = CliRunner()
    made = run.invoke(app, ["mpi", "invent", "--out", str(truth), "--count", "400", "--lab", "clean", "--json"])
    assert '"registrations": 400' in made.output
    measured = run.invoke(app, ["mpi", "evaluate", "--truth", str(truth), "--json"])
    assert '"false_merges_per_100k": 0.0' in measured.output
    assert run.invoke(app, ["mpi", "evaluate", "--lab", "dirty"]).exit_code != 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("record_id,full_name\na,Lan\n", "the column person"),
        ("record_id,full_name,person\n", "a registration"),
        ("record_id,full_name,person\na,Lan,1\na,Lan,1\n", "an id of its own"),
        ("", "names of columns"),
    ],
)
def test_a_truth_that_says_nothing_is_refused_instead_of_measured(tmp_path: Path, text: str, told: str) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text(text, "utf-8")
    found = CliRunner().invoke(app, ["mpi", "evaluate", "--truth", str(truth)])
    assert found.exit_code != 0
    assert told in str(found.exception)
