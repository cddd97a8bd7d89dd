"""The matcher that weighs: who is linked, who is asked about, and who never is, whatever agrees."""

from __future__ import annotations

import json

import pytest

from hie_node.lab import spelling
from registry.errors import InvalidValue
from registry.identifiers import CITIZEN_ID, INSURANCE_NUMBER, NATIONAL_ID, PatientIdentifier
from registry.levels import GIVEN, LOCAL, LOCAL_OTHER, one_edit, readable_same
from registry.linking import Linker
from registry.matching import Candidate, Verdict, Zone
from registry.people import Address, BirthDate, Demographics, Gender, HumanName, PatientInQuestion, SourceRecord
from registry.traits import traits_of
from registry.weighing import Weighing
from registry.weights import read, shipped, written

MATCHER = Weighing(shipped())
SIZE = 100_000
HOME = "số 27 đường Ngô Gia Tự, Phường Kinh Bắc, Tỉnh Bắc Ninh"


def said(
    name: str = "Nguyễn Thị Hường",
    born: str | None = "1964-03-21",
    sex: Gender = "female",
    *,
    number: str | None = None,
    card: str | None = None,
    old: str | None = None,
    phone: str | None = None,
    home: str | None = None,
    mother: str | None = None,
) -> PatientInQuestion:
    given = ((NATIONAL_ID, number), (INSURANCE_NUMBER, card), (CITIZEN_ID, old))
    return PatientInQuestion(
        tuple(PatientIdentifier(system, value) for system, value in given if value),
        Demographics(
            HumanName(name),
            BirthDate(born) if born else None,
            sex,
            (phone,) if phone else (),
            Address(home) if home else None,
            mother,
        ),
    )


def person(key: str, *descriptions: PatientInQuestion) -> Candidate:
    records = [
        SourceRecord(f"{key}{n}", PatientIdentifier("urn:his", f"{key}{n}"), one.demographics, one.identifiers)
        for n, one in enumerate(descriptions)
    ]
    return Candidate(key, tuple(records))


def judged(wanted: PatientInQuestion, *known: PatientInQuestion, size: int = SIZE) -> Verdict:
    return MATCHER.judge(wanted, [person("p", *known)], size=size)


NUMBER, CARD, PHONE = "927164004321", "GD4000071345628", "0105551234"
KNOWN = said(number=NUMBER, card=CARD, phone=PHONE, home=HOME)


@pytest.mark.parametrize(
    "name",
    [
        "NGUYEN THI HUONG",
        "Nguyễn  Thị\u00a0Hường",
        "Nguyeenx Thij Huwowngf",
        "Nguyễn Hường",
        "Thị Hường Nguyễn",
        "Hường Thị Nguyễn",
        "Nguyễn Thịhường",
        spelling.tcvn3_as_latin1("Nguyễn Thị Hường"),
        spelling.vni_as_latin1("Nguyễn Thị Hường"),
        spelling.decomposed("Nguyễn Thị Hường"),
        "Nguy?n Th? H??ng",
    ],
)
def test_the_same_woman_under_every_spelling(name: str) -> None:
    assert judged(said(name, number=NUMBER), KNOWN).zone is Zone.LINK
    assert judged(said(name, phone=PHONE, home=HOME), KNOWN).zone in (Zone.LINK, Zone.REVIEW)


@pytest.mark.parametrize("name", ["Đỗ Đức Quý", "Ðỗ Ðức Quý", "Dỗ Dức Quí", "ĐỖ ĐỨC QUÍ"])
def test_strokes_and_final_y_do_not_part(name: str) -> None:
    known = said("Đỗ Đức Quý", "1970-05-06", "male", number="927070004321")
    assert judged(said(name, "1970-05-06", "male", number="927070004321"), known).zone is Zone.LINK


@pytest.mark.parametrize(
    "changed",
    [
        said(born="1964", number=NUMBER),
        said(born="1964-01-01", card=CARD),
        said(born="1964-03-21", sex="unknown", number=NUMBER),
        said(card="HT3000071345628"),
        said(number=NUMBER, home="so 27 duong Ngo Gia Tu, Phuong Kinh Bac, TP Bac Ninh, Bac Ninh"),
        said("Võ Thị Hường", number=NUMBER),
    ],
)
def test_what_desks_do_to_a_record(changed: PatientInQuestion) -> None:
    known = said("Vũ Thị Hường", number=NUMBER) if "Võ" in str(changed.demographics.name) else KNOWN
    assert judged(changed, known).zone is Zone.LINK


def test_day_and_month_exchanged() -> None:
    known = said(born="1964-03-07", number=NUMBER, phone=PHONE, home=HOME)
    assert judged(said(born="1964-07-03", number=NUMBER), known).zone is Zone.LINK


def test_a_number_alone_never_links() -> None:
    stranger = said("Đỗ Văn Tùng", "1964-09-09", "male", number=NUMBER, card=CARD)
    assert judged(stranger, KNOWN).zone is Zone.NEW
    only = PatientInQuestion((PatientIdentifier(NATIONAL_ID, NUMBER),))
    assert judged(only, KNOWN).zone is not Zone.LINK


@pytest.mark.parametrize("size", [10, 1_000, 100_000, 10_000_000])
def test_a_name_and_a_year_are_nobody(size: int) -> None:
    assert judged(said(born="1964"), said(born="1964"), size=size).zone is not Zone.LINK


def test_a_common_name_and_date_are_enough_in_a_village_and_not_in_a_country() -> None:
    wanted = said("Nguyễn Thị Hoa", "1964-03-21")
    assert judged(wanted, wanted, size=500).zone is Zone.LINK
    assert judged(wanted, wanted, size=10_000_000).zone is not Zone.LINK


def test_two_own_numbers_that_differ_forbid() -> None:
    verdict = judged(said(number="927164999876", phone=PHONE, home=HOME), KNOWN)
    assert verdict.zone is not Zone.LINK
    assert "personal numbers are different" in verdict.evidence


def test_an_old_card_does_not_contradict_the_new_number() -> None:
    assert judged(said(old="912345678", phone=PHONE, home=HOME), KNOWN).zone is Zone.LINK


@pytest.mark.parametrize("twin", ["Vũ Đình Lân", "Vũ Đình Long", "Vũ Đình L.", "Vũ Đình Lam"])
def test_twins_are_never_linked(twin: str) -> None:
    born, mother = "2019-04-02", "Lê Thị Đào"
    known = said("Vũ Đình Lan", born, "male", phone=PHONE, home=HOME, mother=mother, card="TE1000087654321")
    other = said(twin, born, "male", phone=PHONE, home=HOME, mother=mother, card="TE1000087654322")
    assert judged(other, known).zone is not Zone.LINK


def test_father_and_son_of_one_name() -> None:
    father = said("Vũ Đình Hòa", "1990-05-06", "male", phone=PHONE, home=HOME, number="927090004321")
    son = said("Vũ Đình Hòa", "2018-05-06", "male", phone=PHONE, home=HOME)
    assert judged(son, father).zone is not Zone.LINK


def test_a_parents_number_on_a_child() -> None:
    child = said("Nguyễn Gia Bảo", "2020-02-03", "male", number=NUMBER, phone=PHONE, home=HOME)
    assert judged(child, KNOWN).zone is Zone.NEW


def test_a_borrowed_card() -> None:
    sister = said("Nguyễn Thị Hạnh", "1967-11-30", card=CARD, phone=PHONE, home=HOME)
    assert judged(sister, KNOWN).zone is not Zone.LINK


def test_a_newborn_waits_for_a_person() -> None:
    child = said("Con bà Nguyễn Thị Hường", "2026-10-01", "unknown", phone=PHONE, home=HOME)
    assert judged(child, KNOWN).zone is Zone.NEW
    named = said("Nguyễn Gia Bảo", "2026-10-01", "male", phone=PHONE, home=HOME, mother="Nguyễn Thị Hường")
    assert judged(named, child).zone is not Zone.LINK
    assert judged(child, child).zone is not Zone.LINK
    under_her_name = said("Nguyễn Thị Hường", "2026-10-01", "male", mother="Nguyễn Thị Hường")
    assert judged(under_her_name, under_her_name).zone is not Zone.LINK


def test_a_number_that_many_carry_is_a_dummy() -> None:
    shared = "927164555555"
    others = [
        person(f"q{n}", said(f"{name}", f"19{60 + n}-0{n + 1}-11", number=shared))
        for n, name in enumerate(["Lê Thị An", "Trần Thị Ba", "Vũ Thị Cúc", "Bùi Thị Dậu", "Hồ Thị Én", "Đỗ Thị Gái"])
    ]
    mine = person("p", said(number=shared))
    verdict = MATCHER.judge(said(number=shared), [mine, *others], size=10_000_000)
    assert verdict.zone is not Zone.LINK
    assert not any(line.startswith("personal number") for line in verdict.evidence)


@pytest.mark.parametrize("dummy", ["000000000000", "111111111111", "123456789012"])
def test_digits_typed_to_get_past_a_form_are_no_number(dummy: str) -> None:
    assert not traits_of((PatientIdentifier(NATIONAL_ID, dummy),), Demographics()).personal


def test_an_unknown_patient_is_never_a_candidate() -> None:
    nobody = said("BN vô danh", "1980-01-01", "male", phone=PHONE)
    assert judged(nobody, nobody).zone is Zone.NEW
    assert judged(KNOWN, nobody).zone is Zone.NEW


def test_every_link_says_why_field_by_field() -> None:
    verdict = judged(said(number=NUMBER), KNOWN)
    assert verdict.score is not None
    assert any(line.startswith("given name same +") for line in verdict.evidence)
    assert sum(one.tenths for one in verdict.fields) != 0
    assert NUMBER not in str(verdict)
    assert "Hường" not in str(verdict.evidence)


def test_cards_written_one_after_the_other_are_those_of_twins_where_nobody_wrote_the_marks() -> None:
    one = said("Lê Thị Hòa", "2020-06-09", card="GD4000926559335", phone=PHONE)
    other = said("LE THI HOA", "2020-06-09", card="GD4000926559334", phone=PHONE)
    verdict = judged(other, one)
    assert verdict.zone is Zone.REVIEW
    assert "twins differ like this" in verdict.evidence
    assert judged(said("LE THI HOA", "2020-06-09", card="GD4000926559335", phone=PHONE), one).zone is Zone.LINK


def test_a_desk_that_gave_another_number_speaks_against_one_person() -> None:
    here, there = PatientIdentifier("urn:his", "17"), PatientIdentifier("urn:other", "17")
    known = [Candidate("p", (SourceRecord("r", PatientIdentifier("urn:his", "16"), KNOWN.demographics),))]
    same, elsewhere = (
        MATCHER.judge(PatientInQuestion((number,), KNOWN.demographics), known, size=SIZE) for number in (here, there)
    )
    assert same.score is not None
    assert elsewhere.score is not None
    assert same.score < elsewhere.score
    assert any("another one of the same hospital" in line for line in same.evidence)


def test_a_commune_that_lost_its_name_says_less_than_two_that_both_have_theirs() -> None:
    before = "Thôn 3, Xã Vĩnh Lợi, Huyện Mỹ Tú, Tỉnh Đồng Bằng"
    after, other = "Thôn 3, Xã Tân Hưng, Tỉnh Đồng Bằng", "Thôn 3, Xã Phú Lộc, Huyện Mỹ Tú, Tỉnh Đồng Bằng"
    renamed, moved = judged(said(home=after), said(home=before)), judged(said(home=other), said(home=before))
    assert renamed.score is not None
    assert moved.score is not None
    assert renamed.score > moved.score


def test_who_fits_two_persons_says_so() -> None:
    verdict = MATCHER.judge(said(number=NUMBER), [person("a", KNOWN), person("b", KNOWN)], size=SIZE)
    assert verdict.also == ("b",)


def test_a_model_file_reads_back_and_a_broken_one_is_refused() -> None:
    assert read(written(shipped())) == shipped()
    broken = json.loads(written(shipped()))
    del broken["weights"]["sex"]["different"]
    for text in ("", "[]", "{}", json.dumps(broken), json.dumps({"format": 4})):
        with pytest.raises(InvalidValue):
            read(text)


def test_a_model_that_was_trained_before_is_read_and_what_it_did_not_know_says_nothing() -> None:
    stored = json.loads(written(shipped()))
    del stored["weights"]["local number"]["another one of the same hospital"]
    with pytest.raises(InvalidValue):
        read(json.dumps(stored))
    before = read(json.dumps(stored | {"format": 1}))
    assert before.rows[LOCAL][LOCAL_OTHER] == (0, 0, 0, 0)
    assert before.rows[GIVEN] == shipped().rows[GIVEN]


def test_a_model_from_before_postcodes_is_read_and_they_say_nothing() -> None:
    stored = json.loads(written(shipped()))
    del stored["weights"]["postcode"]
    with pytest.raises(InvalidValue):
        read(json.dumps(stored))
    assert read(json.dumps(stored | {"format": 2})) == shipped()


def test_ten_thousand_records_of_one_person_are_one_person() -> None:
    linker = Linker(MATCHER)
    traits = traits_of(KNOWN.identifiers, KNOWN.demographics)
    placed = [linker.add(traits) for _ in range(600)]
    assert {one.person for one in placed[:150]} == {0}


def test_small_comparisons() -> None:
    assert one_edit("lan", "loan")
    assert one_edit("huong", "houng")
    assert not one_edit("lan", "lan")
    assert not one_edit("lan", "hoa")
    assert readable_same("ngui?n", "nguien")
    assert readable_same("h??ng", "huong")
    assert not readable_same("h?ng", "lang")


@pytest.mark.parametrize(
    ("name", "born", "zone"),
    [
        ("Lê Thị Lân", "2015-08-17", Zone.REVIEW),  # Lan may be her twin
        ("Lê Thị Quỳnh", "2015-08-17", Zone.LINK),  # no other mark makes a name of it
        ("Lê Thị Lân", "1961-08-17", Zone.LINK),
    ],
)
def test_a_child_without_marks_and_numbers_may_be_a_twin_where_another_mark_makes_another_name(
    name: str, born: str, zone: Zone
) -> None:
    known = said(name, born, phone="0105551234", home=HOME)
    plain = said(spelling.without_marks(name), born, phone="0105551234", home=HOME)
    assert judged(plain, known).zone is judged(known, plain).zone is zone
