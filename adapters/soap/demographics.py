"""The parameters of a query by demographics, as a search among the patients of this hospital.

A parameter that is not understood is refused, never ignored: an answer to another question shows the wrong people.

Source: IHE ITI TF-2: 3.47.4.1.2 (PRPA_MT201306UV02)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from adapters.soap.datatypes import authority_of, birth_date_of
from adapters.soap.errors import V3Refusal
from adapters.soap.hl7v3 import GENDERS, h, read_ii
from adapters.soap.names import HL7, children, text_of
from adapters.xml_door import XmlElement
from registry.identifiers import PatientIdentifier, is_oid
from registry.people import BirthDate, Demographics, SourceRecord
from registry.searches import PatientSearch
from registry.syllables import bare
from registry.vietnamese import composed, folded

Condition = Callable[[SourceRecord], bool]
PARAMETERS = "/PRPA_IN201305UV02/controlActProcess/queryByParameter/parameterList"
MOST = 100
"""Patients in one answer; more are fetched by continuation."""
MOST_PARAMETERS, MOST_WORDS = 50, 20
"""Of one question: what a person can ask, and a database can take."""
_NOTHING = "nothing was searched"


@dataclass
class _Search:
    """What the parameters that were read so far ask for."""

    identifiers: list[PatientIdentifier] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    years: list[int] = field(default_factory=list)
    domains: list[str] = field(default_factory=list)
    where: list[Condition] = field(default_factory=list)


def read_search(query: XmlElement) -> PatientSearch:
    """The search of a queryByParameter. Raises V3Refusal and InvalidIdentifier."""
    parameters = h(query, "parameterList")
    if parameters is None:
        raise V3Refusal(f"parameterList is missing; {_NOTHING}", number=101)
    found = _Search()
    if len(parameters) > MOST_PARAMETERS:
        raise V3Refusal(f"at most {MOST_PARAMETERS} parameters; {_NOTHING}", location=PARAMETERS)
    for parameter in parameters:
        name = parameter.tag.rpartition("}")[2]
        reader = _READERS.get(name)
        if reader is None:
            raise V3Refusal(f"{name[:64]} is not understood here; {_NOTHING}", number=103, location=PARAMETERS)
        for value in _values(parameter, name):
            reader(value, found)
    if not (found.identifiers or found.words or found.where):
        raise V3Refusal(f"expected a name, a day of birth, a number or an address; {_NOTHING}", number=101)
    if found.domains:
        found.where.append(lambda record: any(each.system in found.domains for each in record.identifiers))
    # a record that was merged away is the other one now, and this language has no word for it
    found.where.append(lambda record: record.replaced_by is None)
    return PatientSearch(
        identifiers=tuple(found.identifiers),
        name_words=tuple(found.words),
        birth_year=found.years[0] if found.years else None,
        domains=tuple(dict.fromkeys(found.domains)),
        where=tuple(found.where),
        limit=read_quantity(h(query, "initialQuantity")) or MOST,
    )


def read_quantity(element: XmlElement | None) -> int | None:
    """How many patients are wanted at once; None where it is not said."""
    if element is None or element.get("nullFlavor"):
        return None
    told = element.get("value", "")
    if not (told.isascii() and told.isdigit() and int(told[:9]) > 0):
        raise V3Refusal(f"expected a number of patients, at least 1; {_NOTHING}")
    return min(int(told[:9]), MOST)


def _values(parameter: XmlElement, name: str) -> list[XmlElement]:
    """One value; only authorities may be several. An alternative would be another question."""
    values = children(parameter, HL7, "value")
    if not 1 <= len(values) <= MOST_PARAMETERS or (len(values) > 1 and name != "otherIDsScopingOrganization"):
        raise V3Refusal(f"{name}: expected one value; {_NOTHING}", location=f"{PARAMETERS}/{name}")
    return values


def _name(value: XmlElement, found: _Search) -> None:
    told = " ".join(text_of(part) for part in value) or text_of(value)
    words = folded(told.replace("*", " ").replace("%", " ")).split()
    if not words or len(words) > MOST_WORDS:
        raise V3Refusal(f"livingSubjectName: a name is searched by letters, {MOST_WORDS} words at most; {_NOTHING}")
    found.words += words


def _born(value: XmlElement, found: _Search) -> None:
    if value.get("value"):
        born = birth_date_of(value.get("value"))
        if born is None:
            raise V3Refusal(f"livingSubjectBirthTime: expected a day that exists; {_NOTHING}")
        found.years.append(born.year)
        found.where.append(lambda record: _is_born(record, born))
        return
    low, high = _bound(h(value, "low")), _bound(h(value, "high"))
    if not low and not high:
        raise V3Refusal(f"livingSubjectBirthTime: expected a day or an interval of days; {_NOTHING}")
    found.where.append(lambda record: _between(_birth(record), low, high))


def _is_born(record: SourceRecord, wanted: BirthDate) -> bool:
    known = record.demographics.birth_date
    return known is not None and known.compatible(wanted)


def _bound(element: XmlElement | None) -> str:
    if element is None or not element.get("value"):
        return ""
    born = birth_date_of(element.get("value"))
    if born is None:
        raise V3Refusal(f"livingSubjectBirthTime: expected days that exist; {_NOTHING}")
    return str(born).replace("-", "")


def _between(born: str, low: str, high: str) -> bool:
    """As far as both are precise."""
    if not born:
        return False
    return (not low or born[: len(low)] >= low[: len(born)]) and (not high or born[: len(high)] <= high[: len(born)])


def _gender(value: XmlElement, found: _Search) -> None:
    wanted = GENDERS.get(value.get("code", ""))
    if wanted is None:
        raise V3Refusal(f"livingSubjectAdministrativeGender: expected M, F or UN; {_NOTHING}", number=103)
    found.where.append(lambda record: _about(record).gender == wanted)


def _number(value: XmlElement, found: _Search) -> None:
    number = read_ii(value)
    if number is None:
        raise V3Refusal(f"livingSubjectId: expected root and extension; {_NOTHING}")
    found.identifiers.append(number)


def _domain(value: XmlElement, found: _Search) -> None:
    root = value.get("root", "")
    if not is_oid(root):
        raise V3Refusal(f"otherIDsScopingOrganization: expected the OID of an authority as root; {_NOTHING}")
    found.domains.append(authority_of(root))


def _address(value: XmlElement, found: _Search) -> None:
    parts = [_plain(text_of(part)) for part in value] or [_plain(text_of(value))]
    if not all(parts):
        raise V3Refusal(f"patientAddress: expected parts of an address; {_NOTHING}")
    found.where.append(lambda record: all(part in _plain(_address_of(record)) for part in parts))


def _telecom(value: XmlElement, found: _Search) -> None:
    wanted = _dialled(value.get("value", ""))
    if not wanted:
        raise V3Refusal(f"patientTelecom: expected a telephone number; {_NOTHING}")
    found.where.append(lambda record: wanted in map(_dialled, _about(record).phones))


def _mother(value: XmlElement, found: _Search) -> None:
    wanted = folded(" ".join(text_of(part) for part in value) or text_of(value)).split()
    if not wanted:
        raise V3Refusal(f"mothersMaidenName: a name is searched by letters; {_NOTHING}")
    found.where.append(lambda record: set(wanted) <= set(folded(_about(record).mothers_name or "").split()))


_READERS: dict[str, Callable[[XmlElement, _Search], None]] = {
    "livingSubjectName": _name,
    "livingSubjectBirthTime": _born,
    "livingSubjectAdministrativeGender": _gender,
    "livingSubjectId": _number,
    "otherIDsScopingOrganization": _domain,
    "patientAddress": _address,
    "patientTelecom": _telecom,
    "mothersMaidenName": _mother,
}


def _about(record: SourceRecord) -> Demographics:
    return record.demographics


def _birth(record: SourceRecord) -> str:
    return str(record.demographics.birth_date or "").replace("-", "")


def _address_of(record: SourceRecord) -> str:
    address = record.demographics.address
    if address is None:
        return ""
    parts = (address.text, address.commune, address.province, address.postal_code, address.country)
    return " ".join(part for part in parts if part)


def _plain(text: str) -> str:
    return " ".join(bare(word) for word in composed(text).lower().split())


def _dialled(value: str) -> str:
    """The digits as they are dialled inside the country."""
    digits = "".join(_digits(value.removeprefix("tel:")))
    return f"0{digits[2:]}" if digits.startswith("84") and len(digits) > 9 else digits


def _digits(value: str) -> Iterator[str]:
    return (sign for sign in value if sign.isascii() and sign.isdigit())
