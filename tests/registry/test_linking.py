"""A list of registrations becomes persons: what a hospital would complain about if it went wrong."""

from __future__ import annotations

from hie_node.lab.evaluation import Known, evaluate
from hie_node.lab.exports import CLEAN, REALISTIC, exported
from hie_node.patient_lists import listed
from registry.communes import Place
from registry.frequencies import frequencies_of
from registry.key_index import KeyIndex
from registry.linking import Linker
from registry.matching import Zone
from registry.packing import PackedTraits
from registry.traits import Traits
from registry.weighing import REUSED, Weighing
from registry.weights import shipped


def read(**row: str) -> Traits:
    return listed({"record_id": "r", **row}).traits


LAN = {
    "full_name": "Nguyễn Thị Lan",
    "sex": "Nữ",
    "birth_date": "21/03/1958",
    "national_id": "960158004321",
    "phone": "0101234567",
    "address_line": "số 27 Lê Lợi",
    "commune": "Phường Kinh Bắc",
    "source": "BV01",
}


def linked(*rows: dict[str, str]) -> tuple[Linker, list[Zone]]:
    linker = Linker(Weighing(shipped()))
    return linker, [linker.add(read(**row)).zone for row in rows]


def test_thousands_of_registrations_of_one_patient_are_one_person() -> None:
    linker, traits = Linker(Weighing(shipped())), read(**LAN)
    for _ in range(2_000):
        linker.add(traits)
    assert set(linker.persons) == {0}


def test_what_is_packed_away_comes_back_the_same() -> None:
    kept, rows = PackedTraits(), (LAN, {}, {"full_name": "Con bà Lê Thị Đào 2", "birth_date": "2026"}, LAN, {})
    for row in rows:
        kept.append(read(**row))
    assert [kept[n] for n in range(len(kept))] == [read(**row) for row in rows]
    assert type(kept[0]) is Traits and type(kept[0].place) is Place
    assert kept[0].name is kept[3].name, "a name is kept once"


def test_numbers_where_a_spreadsheet_took_the_zeros_and_in_the_wrong_column() -> None:
    asked = LAN | {"national_id": "001158004321"}
    for typed in ("1158004321", "001 158 004 321"):
        assert read(**LAN | {"national_id": typed}).personal == read(**asked).personal
    wrong = read(**LAN | {"national_id": "GD4000071345628", "insurance_number": "001158004321"})
    assert (wrong.personal, wrong.insurance) == ({"001158004321"}, {"0071345628"})


def test_an_insurance_number_from_before_2017_contradicts_none_from_after() -> None:
    before = LAN | {"national_id": "", "insurance_number": "GD4000071345628", "recorded_at": "2016-05-04"}
    after = LAN | {"national_id": "", "insurance_number": "GD4000099999123", "recorded_at": "2019-05-04"}
    assert linked(before, after)[1] == [Zone.NEW, Zone.LINK]


def test_a_local_number_given_to_somebody_else_is_flagged_and_never_linked() -> None:
    other = {"full_name": "Trần Văn Bảy", "sex": "Nam", "birth_date": "1990", "source": "BV01", "local_id": "77"}
    linker = Linker(Weighing(shipped()))
    linker.add(read(**LAN | {"local_id": "77"}))
    placed = linker.add(read(**other))
    assert (placed.zone, placed.asked, placed.verdict.evidence) == (Zone.REVIEW, 0, (REUSED,))


def test_a_twin_without_marks_is_asked_about_where_both_are_known() -> None:
    child = LAN | {"birth_date": "2019-04-02", "national_id": "", "sex": "Nam"}
    names = ("Vũ Đình Lan", "Vũ Đình Lân", "VU DINH LAN")
    assert linked(*(child | {"full_name": name} for name in names))[1] == [Zone.NEW, Zone.NEW, Zone.REVIEW]


def test_an_unmarked_registration_does_not_hide_that_the_tones_differ() -> None:
    child = LAN | {"birth_date": "2019-04-02", "national_id": "", "sex": "Nam"}
    names = ("VU DINH LAN", "Vũ Đình Lan", "Vũ Đình Lân")
    assert linked(*(child | {"full_name": name} for name in names))[1][2] is not Zone.LINK


def test_a_year_alone_does_not_hide_that_the_days_differ() -> None:
    known = LAN | {"national_id": ""}
    _, zones = linked(known, known | {"birth_date": "1958"}, known | {"birth_date": "02/11/1958"})
    assert zones[2] is not Zone.LINK


def test_the_given_name_in_front_the_title_and_the_bytes_read_wrong() -> None:
    for name in ("LAN THI NGUYEN", "Ba Nguyen Thi Lan", "BN NGUYỄN THỊ LAN", "Nguyá»…n Thá»‹ Lan", "Nguye6n4 Thi5 Lan"):
        assert linked(LAN, LAN | {"full_name": name})[1] == [Zone.NEW, Zone.LINK], name


def test_nobody_is_linked_to_nobody() -> None:
    for name in ("Vô danh", "Nạn nhân 2", "BN vô danh nữ", "UNKNOWN MALE", "Chưa xác định", "Không tên"):
        nobody = LAN | {"full_name": name, "national_id": "", "phone": ""}
        assert linked(nobody, nobody)[1] == [Zone.NEW, Zone.NEW], name


def test_an_index_holds_what_a_dictionary_would_and_stops_at_a_crowd() -> None:
    index = KeyIndex(lambda key: 2 if key.startswith("rare") else 8)
    known: dict[str, list[int]] = {f"k{n}": [] for n in range(5000)} | {f"alone{n}": [] for n in range(20_000)}
    for n in range(20_000):
        for key in (f"k{n % 5000}", f"alone{n}"):
            index.add(key, n)
            known[key].insert(0, n)
    assert all(index.find(key) == numbers for key, numbers in known.items())
    for n in range(30):
        index.add("crowd", n)
    for n in range(3):
        index.add("rare", n)
    assert index.find("crowd") == index.find("rare") == index.find("never") == []
    asked = ("crowd", "k7", "never", "alone0", "alone19999")
    assert index.find_all(asked) == {key: known[key] for key in asked if key in known}


def test_names_are_counted_a_few_at_a_time_and_all_are_counted() -> None:
    linker, known = Linker(Weighing(shipped())), [listed(row).traits for row in exported(4_100, 5, REALISTIC)]
    linker.add_all(known[:3_999])
    assert linker.weighing.model.frequencies == frequencies_of(known[:2_000], shipped().frequencies)
    linker.add_all(known[3_999:])
    assert linker.weighing.model.frequencies == frequencies_of(known[:4_000], shipped().frequencies)


def test_the_second_generator_is_linked_as_safely_as_the_first() -> None:
    """Small lists, so the bounds are wide; `docs/matching.md` has the figures of large ones."""
    for dirt, recall in ((CLEAN, 0.99), (REALISTIC, 0.9)):
        known = []
        for row in exported(3_000, 11, dirt):
            one = listed(row)
            known.append(Known(one.traits, one.person, one.applied))
        found = evaluate(known, shipped())
        assert found.unaided.recall > recall
        assert found.unaided.false_merges <= 1
        assert found.nobody == 0


def test_a_year_that_was_counted_wrong_still_finds_the_patient() -> None:
    bare = {"national_id": "", "phone": "", "address_line": "", "commune": ""}
    linker = Linker(Weighing(shipped()))
    linker.add(read(**LAN | bare))
    for wrong in ("21/03/1959", "21/03/1968"):
        assert linker.candidates(read(**LAN | bare | {"birth_date": wrong})) == [0]
    assert linker.candidates(read(**LAN | bare | {"birth_date": "22/04/1959"})) == []


def test_nobody_is_asked_twice_whether_the_same_two_are_one() -> None:
    own, reused = LAN | {"local_id": "7"}, {"full_name": "Đỗ Văn Tùng", "sex": "Nam", "birth_date": "9/9/1964"}
    linker = Linker(Weighing(shipped()))
    linker.add(read(**reused, source="BV01", local_id="7"))
    asked = [linker.add(read(**own)).asked for _ in range(3)]
    assert asked == [0, None, None]


YEAR = {"full_name": "Lò Thị Ngà", "sex": "Nữ", "birth_date": "1961", "commune": "Xã Mường Lói"}


def test_a_rare_name_and_a_year_may_link_among_few_and_never_where_the_list_is_full_of_them() -> None:
    """How common a name is stands in the list itself: a valley where one in ten has it is no country."""
    for share in (0, 10):
        linker = Linker(Weighing(shipped()), least=2_000)
        for n in range(1_001):
            other = f"Lò Thị Ngà {n}" if share and n % share == 0 else f"Trần Thị Hoa {n}"
            born = f"{1 + n % 28}/{1 + n % 12}/{1920 + n % 41}"
            linker.add(read(full_name=other.rsplit(" ", 1)[0], sex="Nữ", birth_date=born, phone=f"01{n:08d}"))
        linker.add(read(**YEAR | {"birth_date": "3/4/1961"}))
        assert (linker.add(read(**YEAR)).zone is Zone.LINK) is not bool(share)


def test_who_knows_the_day_is_not_held_against_another_day_of_that_year() -> None:
    linker, placeless = Linker(Weighing(shipped())), YEAR | {"commune": ""}
    for born in ("3/4/1961", "1961", "1960"):
        linker.add(read(**placeless | {"birth_date": born}))
    assert set(linker.candidates(read(**placeless | {"birth_date": "20/9/1961"}))) == {1, 2}
    assert set(linker.candidates(read(**placeless))) == {0, 1, 2}


def test_who_is_still_to_come_counts_as_a_stranger_already() -> None:
    row = LAN | {"national_id": "", "phone": "", "address_line": "", "commune": ""}
    few, many = (Linker(Weighing(shipped()), least=least) for least in (500, 10_000_000))
    assert [linker.add(read(**row)).zone for linker in (few, few, many, many)][1::2] == [Zone.LINK, Zone.NEW]
