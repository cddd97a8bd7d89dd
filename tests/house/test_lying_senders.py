"""What a sender writes that is not true: circles, other hospitals' numbers, forged lines, files that are not whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from hie_node.drop_folder import DropFolder
from registry.feeds import FeedSearch
from tests.house.hospital import Hospital, code, error
from tests.house.test_hl7v2 import adt, sample
from tests.house.test_insurance import NUMBER, VISIT

FOREIGN = "A1^^^&9.9.9&ISO^PI"


def registers(hospital: Hospital, *numbers: str) -> None:
    for number in numbers:
        name = f"Nguyễn^{number}"
        assert code(hospital.tell(adt("A04", f"{number}^^^OWN^PI||{name}", control=f"R{number}"))) == "AA"


def merges(hospital: Hospital, gone: str, into: str, *, event: str = "A40") -> str:
    told = adt(event, f"{into}^^^OWN^PI||Nguyễn^{into}", f"MRG|{gone}^^^OWN^PI", control=f"{event}{gone}{into}")
    return code(hospital.tell(told))


# ---- circles ----


def test_a_circle_of_three_is_refused_where_it_would_close(hospital: Hospital) -> None:
    registers(hospital, "C1", "C2", "C3")
    assert (merges(hospital, "C1", "C2"), merges(hospital, "C2", "C3")) == ("AA", "AA")
    assert merges(hospital, "C3", "C1") == "AE"
    found = [record for number in ("C1", "C2", "C3") if (record := hospital.record(number))]
    assert [record.active for record in found] == [False, False, True]
    assert len({hospital.person(number) for number in ("C1", "C2", "C3")}) == 1


def test_a_number_is_not_merged_into_itself(hospital: Hospital) -> None:
    registers(hospital, "C1")
    assert merges(hospital, "C1", "C1") == "AE"
    record = hospital.record("C1")
    assert record is not None and record.active


def test_a_number_that_was_changed_does_not_come_back_by_a_circle(hospital: Hospital) -> None:
    registers(hospital, "C1")
    assert merges(hospital, "C1", "C2", event="A47") == "AA"
    assert merges(hospital, "C2", "C1", event="A47") == "AE"
    record = hospital.record("C2")
    assert record is not None and record.active


def test_a_number_that_was_merged_away_leads_to_its_survivor_until_that_is_taken_back(hospital: Hospital) -> None:
    registers(hospital, "C1", "C2", "C3")
    assert merges(hospital, "C1", "C2") == "AA"
    assert (merges(hospital, "C1", "C3"), merges(hospital, "C1", "C4")) == ("AE", "AE")
    assert hospital.person("C1") == hospital.person("C2") != hospital.person("C3") and hospital.record("C4") is None
    assert merges(hospital, "C2", "C3") == "AA"
    direct = adt("A40", "C3^^^OWN^PI||Nguyễn^C3", "MRG|C1^^^OWN^PI", control="flat")
    assert code(hospital.tell(direct)) == "AA", "that it is there already is no contradiction"
    two = ("PID|||C1^^^OWN^PI||Nguyễn^C1", "PID|||C3^^^OWN^PI||Nguyễn^C3")
    assert code(hospital.tell(adt("A37", two[0].removeprefix("PID|||"), two[1], control="apart"))) == "AA"
    assert hospital.person("C1") != hospital.person("C3")


# ---- two in one ----


@pytest.mark.parametrize("event", ["A04", "A08", "A03"])
def test_a_message_about_one_patient_with_a_second_one_in_it_is_refused(hospital: Hospital, event: str) -> None:
    registers(hospital, "C1")
    second = adt(event, "C1^^^OWN^PI||Nguyễn^Hai", "PID|||C2^^^OWN^PI||Trần^Ba", control="two")
    assert error(hospital.tell(second)) == ("AE", "PID^2", "100")
    record = hospital.record("C1")
    assert record is not None and "Hai" not in str(record.demographics.name) and hospital.record("C2") is None


def test_the_same_patient_twice_in_a_message_is_remarked(hospital: Hospital) -> None:
    told = hospital.handled(adt("A04", "C1^^^OWN^PI||Nguyễn^Hai", "PID|||C1^^^OWN^PI||Nguyễn^Hai"))
    assert "the segment PID stands more than once; the first counts" in told.notes


# ---- a file that is none ----


def test_a_report_that_is_only_a_file_that_nobody_can_open_is_not_acknowledged(hospital: Hospital) -> None:
    registers(hospital, "A1")
    html = "OBX|1|ED|PDF||^application^pdf^Base64^PGh0bWw+||||||F"
    head, *_ = sample("oru_ct").decode().partition("OBX|1|")[0].rpartition("\r")
    assert error(hospital.tell(f"{head}\r{html}\r".encode())) == ("AE", "OBX^1^5^1^5", "102")
    beside = hospital.handled(sample("oru_ct", JVBERi0xLjQKJSVFT0YK="PGh0bWw+"))
    assert beside.verdict.code == "AA" and beside.documents == 1
    assert "OBX-5 holds a file that is neither PDF nor picture; left out" in beside.notes


# ---- another's authority ----


@pytest.mark.parametrize(
    "told",
    [
        adt("A08", f"{FOREIGN}||Lê^Hoa"),
        adt("A40", f"{FOREIGN}||Nguyễn^An", "MRG|A1^^^OWN^PI"),
        adt("A40", "A1^^^OWN^PI||Nguyễn^An", f"MRG|{FOREIGN}"),
        adt("A47", f"{FOREIGN}", "MRG|A1^^^OWN^PI"),
    ],
    ids=["update", "survivor", "subsumed", "new number"],
)
def test_numbers_of_another_authority_change_nothing_here(hospital: Hospital, told: str) -> None:
    hospital.tell(sample("adt_a04"))
    before = hospital.record("A1")
    assert error(hospital.tell(told))[0] == "AE"
    assert hospital.record("A1") == before


def test_a_report_of_another_authoritys_patient_is_not_this_hospitals(hospital: Hospital) -> None:
    hospital.tell(sample("adt_a04"))
    told = sample("oru_ct").replace(b"&2.25.4711.1&ISO", b"&9.9.9&ISO")
    assert told != sample("oru_ct")
    assert code(hospital.tell(told)) == "AE"
    assert hospital.documents("A1") == []


# ---- forged lines ----


def test_what_is_echoed_forges_no_line_of_the_answer(hospital: Hospital) -> None:
    answer = hospital.tell(sample("adt_a04", **{"|M1|": "|M1\\X0D\\MSA\\F\\AA\\F\\FORGED|"}))
    assert [segment.name for segment in answer.segments].count("MSA") == 1
    refused = hospital.tell(adt("A04", "B1^^^\\X0D\\MSA\\F\\AA^PI||Lê^Hoa", control="M\\X0D\\ERR"))
    assert [segment.name for segment in refused.segments] == ["MSH", "MSA", "ERR"]


# ---- files that are not whole, or come twice ----


def test_a_file_that_is_still_written_is_not_taken(hospital: Hospital) -> None:
    folder = DropFolder(hospital.house)
    root, half = hospital.house.settings.drop, len(VISIT) // 2
    (root / "visit.xml.part").write_text(VISIT, "utf-8")
    file = root / "visit.xml"
    file.write_text(VISIT[:half], "utf-8")
    folder.look()
    file.write_text(VISIT, "utf-8")
    folder.look()
    assert hospital.documents(NUMBER) == [], "it grew between two looks"
    folder.look()
    assert hospital.documents(NUMBER) != []
    assert sorted(one.name for one in root.iterdir() if one.is_file()) == ["visit.xml.part"]


def test_a_file_that_was_taken_half_is_mended_by_its_whole(hospital: Hospital) -> None:
    folder, root = DropFolder(hospital.house), hospital.house.settings.drop
    for text, outcome in ((VISIT[: len(VISIT) // 2], "refused"), (VISIT, "done")):
        (root / "visit.xml").write_text(text, "utf-8")
        folder.look()
        folder.look()
        assert (root / outcome / "visit.xml").exists()
    assert hospital.documents(NUMBER) != []


def test_the_same_messages_under_two_names_count_once(hospital: Hospital) -> None:
    folder, root = DropFolder(hospital.house), hospital.house.settings.drop
    for name in ("one.hl7", "two.hl7"):
        (root / name).write_bytes(sample("oru_ct"))
        folder.look()
        folder.look()
    assert sorted(one.name for one in (root / "done").iterdir()) == ["one.hl7", "two.hl7"]
    assert len(hospital.documents("A1", only_current=False)) == 2, "the text and its PDF, once"
    with hospital.house.storage.read() as unit:
        found = list(unit.feeds.find(FeedSearch("hl7v2")))
    assert [one.outcome for one in found] == ["unchanged", "stored"]


def test_a_file_that_vanishes_between_two_looks_stops_nobody(hospital: Hospital, tmp_path: Path) -> None:
    folder, root = DropFolder(hospital.house), hospital.house.settings.drop
    for name in ("a.xml", "visit.xml"):
        (root / name).write_text(VISIT, "utf-8")
    folder.look()
    (root / "a.xml").rename(tmp_path / "a.xml")
    folder.look()
    assert hospital.documents(NUMBER) != [] and not (root / "refused" / "a.xml").exists()
