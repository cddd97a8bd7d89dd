"""The invented people: repeatable, as frequent as in the statistics, and nobody's numbers."""

import re
import unicodedata
from collections import Counter

import pytest

from hie_node.lab.people import PROVINCES, TODAY, SyntheticPerson, household_of, people

MANY = {province: people(8000, 7, province) for province in PROVINCES}
EVERYONE = [person for found in MANY.values() for person in found]


def test_a_seed_gives_the_same_people_every_time() -> None:
    assert people(400, 3, "bac-ninh") == people(400, 3, "bac-ninh")
    assert people(400, 3, "bac-ninh") != people(400, 4, "bac-ninh")


def test_a_list_has_the_length_that_was_asked_for_and_its_own_keys() -> None:
    for count in (0, 1, 2, 33):
        found = people(count, 1, "ha-noi")
        assert [person.key for person in found] == list(range(count))


@pytest.mark.parametrize(("family", "share"), [("Nguyễn", 0.384), ("Trần", 0.115), ("Lê", 0.095), ("Phạm", 0.071)])
def test_surnames_are_as_frequent_as_in_the_country(family: str, share: float) -> None:
    found = sum(person.family == family for person in MANY["bac-ninh"]) / len(MANY["bac-ninh"])
    assert abs(found - share) < 0.03


def test_surnames_of_minorities_live_around_thai_nguyen() -> None:
    def share(province: str) -> float:
        return sum(p.family in {"Nông", "Ma", "Triệu", "Lục"} for p in MANY[province]) / len(MANY[province])

    assert share("thai-nguyen") > 0.02
    assert share("bac-ninh") == 0


def test_older_women_are_called_thi_and_older_men_van() -> None:
    def share(gender: str, middle: str) -> float:
        old = [person for person in EVERYONE if person.gender == gender and person.birth_date.year < 1980]
        return sum(person.middle.startswith(middle) for person in old) / len(old)

    assert share("female", "Thị") > 0.7
    assert 0.4 < share("male", "Văn") < 0.6
    assert share("male", "Thị") == share("female", "Văn") == 0


def test_names_are_composed_unicode_without_stray_spaces() -> None:
    for person in EVERYONE:
        assert unicodedata.is_normalized("NFC", person.full_name)
        assert person.full_name == " ".join(person.full_name.split())


def test_a_personal_number_agrees_with_sex_and_birth_and_belongs_to_no_province() -> None:
    for person in EVERYONE:
        if person.national_id is None:
            continue
        assert re.fullmatch(r"9\d{11}", person.national_id)
        century_and_sex = (person.birth_date.year // 100 - 19) * 2 + (person.gender == "female")
        assert person.national_id[3] == str(century_and_sex)
        assert person.national_id[4:6] == f"{person.birth_date.year % 100:02d}"


def test_cards_and_phones_have_the_right_shape_and_a_range_that_is_never_issued() -> None:
    for person in EVERYONE:
        assert person.insurance_number is None or re.fullmatch(r"[A-Z]{2}[1-5]00\d{10}", person.insurance_number)
        assert person.old_card is None or re.fullmatch(r"9\d{8}", person.old_card)
        assert re.fullmatch(r"010\d{7}", person.phone)


def test_no_number_is_given_to_two_people() -> None:
    for found in MANY.values():
        cards = [person.insurance_number[-10:] for person in found if person.insurance_number]
        numbers = [person.national_id for person in found if person.national_id]
        assert len(set(cards)) == len(cards)
        assert len(set(numbers)) == len(numbers)


def test_nobody_is_older_than_people_become_or_born_tomorrow() -> None:
    ages = [person.age() for person in EVERYONE]
    assert min(ages) >= 0
    assert max(ages) < 125
    assert all(person.birth_date <= TODAY for person in EVERYONE)
    assert sum(age >= 60 for age in ages) / len(ages) > 0.1


def test_a_household_shares_its_address_and_its_children_the_surname() -> None:
    for person in MANY["bac-ninh"][:2000]:
        roof = household_of(person, MANY["bac-ninh"][max(0, person.key - 12) : person.key + 12])
        assert all(other.address == person.address for other in roof)
        mother = [other for other in roof if other.full_name == person.mother_name and other.age() > person.age()]
        if mother and person.age() < 15:
            assert person.phone in {one.phone for one in roof} | {mother[0].phone, person.phone}
            assert person.family in {one.family for one in roof}


def test_there_are_twins_and_each_knows_the_other() -> None:
    found = MANY["ha-noi"]
    twins = [person for person in found if person.twin_key is not None]
    assert 0.003 < len(twins) / len(found) < 0.05
    for person in twins:
        other = _by_key(found, person.twin_key)
        assert other.twin_key == person.key
        assert (other.birth_date, other.family, other.address) == (
            person.birth_date,
            person.family,
            person.address,
        )
        assert other.given != person.given


def test_there_are_namesakes_of_one_birth_year_under_different_roofs() -> None:
    same = Counter((person.full_name, person.birth_date.year) for person in MANY["bac-ninh"])
    assert sum(number > 1 for number in same.values()) > 20


def test_some_sons_are_called_as_their_father() -> None:
    found = MANY["bac-ninh"]
    homes: dict[int, Counter[str]] = {}
    for person in found:
        homes.setdefault(person.household_id, Counter())[person.full_name] += 1
    assert sum(max(names.values()) > 1 for names in homes.values()) > 10


def _by_key(found: list[SyntheticPerson], key: int | None) -> SyntheticPerson:
    assert key is not None
    return found[key]
