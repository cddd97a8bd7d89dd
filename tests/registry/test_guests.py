"""Names from abroad: mistyped and turned they are found, and nobody is taken for a brother."""

from __future__ import annotations

import pytest

from hie_node.lab.abroad import listed_abroad
from hie_node.lab.evaluation import Evaluation, Known, evaluate
from hie_node.patient_lists import listed
from registry.guests import is_guest, likeness, lines_alike
from registry.levels import FIELDS, POSTCODE, UNKNOWN, compare
from registry.linking import Linker
from registry.matching import Verdict, Zone
from registry.people import Demographics, HumanName
from registry.training import train
from registry.traits import traits_of
from registry.weighing import Weighing
from registry.weights import only_strangers, read, shipped, written

HOUSE = "12 pinkerton circuit bega flats"


def described(name: str, born: str = "1956-04-09", line: str = HOUSE) -> dict[str, str]:
    return {"record_id": name, "full_name": name, "birth_date": born, "address_line": line, "commune": "richlands"}


def second_of(*rows: dict[str, str]) -> Verdict:
    linker = Linker(Weighing(shipped()), least=100_000)
    return [linker.add(listed(row).traits) for row in rows][-1].verdict


@pytest.mark.parametrize(
    "other", ["Matthew Lindholm", "lindholm mathew", "Lindholn Matthew", "LINDHOLM  MATTHEW", "Lind holm Matthew"]
)
def test_a_name_from_abroad_is_found_mistyped_and_turned(other: str) -> None:
    assert second_of(described("Lindholm Matthew"), described(other)).zone is Zone.LINK


@pytest.mark.parametrize(
    ("name", "born"),
    [
        ("Lindholm Joshua", "1956-04-09"),  # a twin
        ("Lindholm Matthew", "1984-11-30"),  # a son who is named after his father
        ("Bergmann Gustav", "1956-04-09"),
    ],
)
def test_who_shares_house_and_surname_is_not_the_same_by_that(name: str, born: str) -> None:
    assert second_of(described("Lindholm Matthew"), described(name, born)).zone is not Zone.LINK


@pytest.mark.parametrize("name", ["Nguyễn Văn An", "NGUYEN VAN AN", "Tran Thihoa", "Nguyeenx Vawn An", "Ngu?n V?n An"])
def test_names_of_the_country_are_no_guests_however_they_were_damaged(name: str) -> None:
    assert not is_guest(name.lower().split())


def test_likeness_is_that_of_jaro_and_winkler() -> None:
    assert likeness("martha", "marhta") == pytest.approx(0.9611, abs=1e-4)
    assert likeness("dwayne", "duane") == pytest.approx(0.84, abs=1e-4)
    assert likeness("abc", "xyz") == 0.0


def test_an_address_is_the_same_in_another_order_and_not_with_another_street() -> None:
    assert lines_alike("3 ferndale dryandra street", "3 dryandra street ferndale")
    assert not lines_alike("20 tom roberts avenue kimberley", "256 hickenbotham street tryphinia view")
    assert not lines_alike("19 roughley place", "19 east place kergunyah")


def test_a_postcode_is_read_and_is_neither_a_commune_nor_a_house() -> None:
    place = listed(described("Lindholm Matthew") | {"district": "4221"}).traits.place
    assert (place.postcode, place.commune, place.line) == ("4221", "richlands", HOUSE)
    assert not listed(described("Lindholm Matthew", line="1200") | {"commune": ""}).traits.place.postcode


@pytest.mark.parametrize(
    ("other", "level"), [("4221", "same"), ("4212", "nearly same"), ("6021", "different"), ("", "unknown")]
)
def test_postcodes_are_compared_between_names_from_abroad_alone(other: str, level: str) -> None:
    one, two = ({"full_name": name, "district": code} for name, code in (("Lindholm", "4221"), ("Lindholm", other)))
    assert FIELDS["postcode"][_compared(one, two)] == level
    assert _compared(one | {"full_name": "Nguyễn Văn An"}, two | {"full_name": "Nguyễn Văn An"}) == UNKNOWN


def _compared(one: dict[str, str], other: dict[str, str]) -> int:
    mine, theirs = (listed(described("x") | row).traits for row in (one, other))
    return compare(mine, theirs)[POSTCODE]


def test_a_postcode_weighs_nothing_between_patients() -> None:
    assert set(shipped().rows[POSTCODE]) == {(0, 0, 0, 0)}


@pytest.fixture(scope="module")
def found() -> Evaluation:
    rows = (listed(row) for row in listed_abroad(4_000, 51))
    return evaluate([Known(one.traits, one.person) for one in rows], shipped())


def test_a_list_with_the_errors_of_febrl_is_linked_as_far_as_a_hospital_may(found: Evaluation) -> None:
    """One house, birth date and surname with another given name stays apart, so recall has a ceiling here."""
    assert found.unaided.precision >= 0.998
    assert found.unaided.recall >= 0.70
    assert found.share_true >= 0.9


def test_a_model_learnt_from_a_list_without_twins_finds_what_a_hospital_has_to_ask() -> None:
    """Nobody says which lines are one person; the same list with the model for patients has a recall near 0.75."""
    known = [Known(one.read_for(abroad=True), one.person) for one in map(listed, listed_abroad(4_000, 52))]
    learnt = train([one.traits for one in known], only_strangers(shipped()), pairs=20_000).model
    found = evaluate(known, read(written(learnt)))
    assert found.unaided.recall >= 0.99
    assert found.unaided.precision >= 0.995


@pytest.mark.parametrize("name", ["Lily Le", "luc y webb", "Ho Lily", "O'Neil Anna"])
def test_in_such_a_list_every_name_in_plain_letters_is_from_abroad(name: str) -> None:
    said = Demographics(HumanName(name))
    assert (one := traits_of((), said, abroad=True).name) is not None and one.guest


def test_two_own_numbers_part_even_where_only_strangers_are_reckoned_with() -> None:
    weighing = Weighing(only_strangers(shipped()))
    row = described("Lindholm Matthew") | {"sex": "m"}
    one, other = (listed(row | {"national_id": number}).traits for number in ("027056004321", "027056009876"))
    assert weighing.decide(one, [("p", [other])], size=1_000).zone is not Zone.LINK
