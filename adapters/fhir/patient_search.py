"""What can be asked about patients, as conditions over source records.

Names are compared without marks, and y as i, so that "Quy" finds Quý and Quí; a condition on a name must hold at the
beginning of one of its words. `:exact` takes marks and case as they are.

Source: IHE PDQm 3.2, 2:3.78.4.1.2; HL7 FHIR R4, 3.1.1.4 (parameter types)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TypeAlias

from adapters.fhir.elements import Element, demographics
from adapters.fhir.issues import BadRequest
from adapters.fhir.keeping import kept_elements
from adapters.fhir.search_controls import Asked, date_values, full_name
from adapters.fhir.search_values import DateValue, Parameter, TokenValue, fold, interval, unescape
from registry.identifiers import PatientIdentifier
from registry.local_time import VIET_NAM
from registry.people import SourceRecord
from registry.searches import PatientSearch
from registry.vietnamese import folded

Condition: TypeAlias = Callable[[SourceRecord], bool]
Texts: TypeAlias = Callable[[SourceRecord], Iterable[str]]

PARAMETERS: dict[str, str] = {
    "_id": "token",
    "_lastUpdated": "date",
    "active": "token",
    "address": "string",
    "address-city": "string",
    "address-country": "string",
    "address-postalcode": "string",
    "address-state": "string",
    "birthdate": "date",
    "family": "string",
    "gender": "token",
    "given": "string",
    "identifier": "token",
    "mothersMaidenName": "string",
    "name": "string",
    "telecom": "token",
}
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_PLAIN_YEAR = re.compile(r"(?:eq)?(\d{4})(?:-\d{2}){0,2}")
_ONE_INSTANT = timedelta(microseconds=1)


def patient_search(asked: Asked) -> PatientSearch:
    """The search in the registry's words. Raises BadRequest."""
    names = [each for each in asked.conditions if each.name in ("family", "given", "name")]
    single = [token for each in asked.named("identifier") if (token := _single_number(each))]
    return PatientSearch(
        ids=_ids(asked),
        identifiers=tuple(PatientIdentifier(each.system or "", each.code or "") for each in single),
        name_words=tuple(word for each in names for word in _sure_words(each)),
        birth_year=_birth_year(asked),
        domains=domains(asked),
        where=tuple(_condition(each) for each in asked.conditions if _needs_condition(each)),
        limit=asked.count,
        after=asked.after.id if asked.after else None,
        count_only=asked.count_only,
    )


def domains(asked: Asked) -> tuple[str, ...]:
    """The authorities whose identifiers alone are wanted: `identifier=urn:oid:A|,urn:oid:B|`."""
    wanted = [_identifiers(each) for each in asked.named("identifier") if each.modifier is None]
    filters = [values for values in wanted if all(each.system and each.code is None for each in values)]
    return tuple(dict.fromkeys(each.system or "" for values in filters for each in values))


def _ids(asked: Asked) -> tuple[str, ...] | None:
    found: set[str] | None = None
    for parameter in asked.named("_id"):
        if parameter.modifier or not all(_ID.fullmatch(value) for value in parameter.values):
            raise BadRequest("_id takes ids of Patients: 1 to 64 letters, digits, - and .")
        found = set(parameter.values) if found is None else found & set(parameter.values)
    return tuple(sorted(found)) if found is not None else None


def _identifiers(parameter: Parameter) -> list[TokenValue]:
    if parameter.modifier not in (None, "missing"):
        raise BadRequest("identifier takes no modifier.")
    return [TokenValue.parse(value) for value in parameter.values] if parameter.modifier is None else []


def _single_number(parameter: Parameter) -> TokenValue | None:
    """The one full number of a parameter: any record of the person may carry it, which only the registry can tell."""
    tokens = _identifiers(parameter)
    return tokens[0] if len(tokens) == 1 and tokens[0].system and tokens[0].code else None


def _sure_words(parameter: Parameter) -> list[str]:
    """Beginnings of words that a matching name must have, for the index; with alternatives none is sure."""
    if len(parameter.values) != 1 or parameter.modifier not in (None, "exact"):
        return []
    return folded(unescape(parameter.values[0])).split()


def _birth_year(asked: Asked) -> int | None:
    for parameter in asked.named("birthdate"):
        found = _PLAIN_YEAR.fullmatch(parameter.values[0])
        if found and len(parameter.values) == 1 and parameter.modifier is None:
            return int(found.group(1))
    return None


def _needs_condition(parameter: Parameter) -> bool:
    """What the registry does not look at itself."""
    return parameter.name != "_id" and not (parameter.name == "identifier" and _single_number(parameter))


def _condition(parameter: Parameter) -> Condition:
    name = full_name(parameter)
    if parameter.modifier == "missing":
        return _presence(_TEXTS[name], wanted=not parameter.missing) if name in _TEXTS else _unmissable(parameter)
    if name in _STRINGS:
        return _string(parameter, _STRINGS[name])
    return _OTHERS[name](parameter)


def _presence(texts: Texts, *, wanted: bool) -> Condition:
    return lambda record: any(texts(record)) == wanted


def _unmissable(parameter: Parameter) -> Condition:
    """What every record has."""
    is_wanted = not parameter.missing
    return lambda record: is_wanted


# ---- strings ----


def _string(parameter: Parameter, texts: Texts) -> Condition:
    wanted = [unescape(value) for value in parameter.values]
    if parameter.modifier == "exact":
        exact = {_composed(each) for each in wanted}
        return lambda record: any(_composed(text) in exact for text in texts(record))
    if parameter.modifier not in (None, "contains"):
        raise BadRequest(f"{full_name(parameter)} takes :exact, :contains and :missing.")
    is_name = parameter.name in ("family", "given", "name", "mothersMaidenName")
    plain = folded if is_name else fold
    parts = [plain(each) for each in wanted]
    if not all(parts):
        raise BadRequest(f"{full_name(parameter)} is searched by letters.")
    if parameter.modifier == "contains":
        return lambda record: any(part in plain(text) for text in texts(record) for part in parts)
    return lambda record: any(_begins_a_word(plain(text), part) for text in texts(record) for part in parts)


def _begins_a_word(text: str, part: str) -> bool:
    """Whether the part stands at the beginning of a word, or each of its words does, in any order."""
    if f" {part}" in f" {text}":
        return True
    begun = text.split()
    return all(any(word.startswith(each) for word in begun) for each in part.split())


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _family(record: SourceRecord) -> Iterator[str]:
    name = record.demographics.name
    if name:
        yield name.family or name.text.split()[0]


def _given(record: SourceRecord) -> Iterator[str]:
    name = record.demographics.name
    if name:
        given = name.given or " ".join(name.text.split()[1:])
        yield given
        yield from given.split()


def _name(record: SourceRecord) -> Iterator[str]:
    name = record.demographics.name
    if name:
        yield name.text
        yield from _family(record)
        yield from _given(record)


def _mothers_name(record: SourceRecord) -> Iterator[str]:
    if record.demographics.mothers_name:
        yield record.demographics.mothers_name


def _addresses(record: SourceRecord) -> list[Element]:
    kept: list[Element] = kept_elements(record.extra).get("address", [])
    return kept or demographics(record.demographics).get("address", [])


def _address_part(part: str) -> Texts:
    return lambda record: (each[part] for each in _addresses(record) if isinstance(each.get(part), str))


def _address(record: SourceRecord) -> Iterator[str]:
    for each in _addresses(record):
        for part in ("text", "city", "district", "state", "country", "postalCode"):
            if isinstance(each.get(part), str):
                yield each[part]
        yield from each.get("line", ())


_STRINGS: dict[str, Texts] = {
    "address": _address,
    "address-city": _address_part("city"),
    "address-country": _address_part("country"),
    "address-postalcode": _address_part("postalCode"),
    "address-state": _address_part("state"),
    "family": _family,
    "given": _given,
    "mothersMaidenName": _mothers_name,
    "name": _name,
}


# ---- tokens and dates ----


def _tokens(parameter: Parameter) -> list[TokenValue]:
    if parameter.modifier:
        raise BadRequest(f"{full_name(parameter)} takes no modifier but :missing.")
    return [TokenValue.parse(value) for value in parameter.values]


def _identifier(parameter: Parameter) -> Condition:
    wanted = [_normal(each) for each in _tokens(parameter)]

    def carries(record: SourceRecord) -> bool:
        carried = [each.normal for each in record.identifiers]
        return any(token.matches(each.system, each.value) for token in wanted for each in carried)

    return carries


def _normal(token: TokenValue) -> TokenValue:
    """Numbers are compared without separators, an insurance card by its last ten digits."""
    if not token.system or not token.code:
        return token
    return TokenValue(token.system, PatientIdentifier(token.system, token.code).normal.value)


def _active(parameter: Parameter) -> Condition:
    codes = {each.code for each in _tokens(parameter)}
    if not codes <= {"true", "false"}:
        raise BadRequest("active is true or false.")
    return lambda record: ("true" if record.active and not record.replaced_by else "false") in codes


def _gender(parameter: Parameter) -> Condition:
    wanted = _tokens(parameter)
    system = "http://hl7.org/fhir/administrative-gender"
    return lambda record: any(token.matches(token.system and system, record.demographics.gender) for token in wanted)


def _telecom(parameter: Parameter) -> Condition:
    wanted = [(token.system, _dialled(token.code or "")) for token in _tokens(parameter)]

    def reachable(record: SourceRecord) -> bool:
        contacts = [(system, _dialled(value)) for system, value in _contacts(record)]
        return any(
            (system in (None, kind)) and value == number for system, value in wanted for kind, number in contacts
        )

    return reachable


def _contacts(record: SourceRecord) -> Iterator[tuple[str, str]]:
    kept = kept_elements(record.extra).get("telecom", [])
    for each in kept or demographics(record.demographics).get("telecom", []):
        if isinstance(each.get("value"), str):
            yield each.get("system", ""), each["value"]


def _dialled(value: str) -> str:
    """A phone number as it is dialled inside the country; anything else in lower case."""
    digits = re.sub(r"[\s().-]", "", value.strip())
    if not re.fullmatch(r"\+?\d{6,15}", digits):
        return value.strip().lower()
    return re.sub(r"^(\+84|0084)", "0", digits)


def _birthdate(parameter: Parameter) -> Condition:
    wanted = date_values(parameter)

    def born(record: SourceRecord) -> bool:
        birth = record.demographics.birth_date
        return birth is not None and _fits(wanted, str(birth))

    return born


def _fits(wanted: list[DateValue], text: str) -> bool:
    low, high = interval(text, zone=VIET_NAM)
    return any(each.matches_interval(low, high) for each in wanted)


def _last_updated(parameter: Parameter) -> Condition:
    wanted = date_values(parameter)

    def changed(record: SourceRecord) -> bool:
        moment = record.updated
        return moment is not None and any(each.matches_interval(moment, moment + _ONE_INSTANT) for each in wanted)

    return changed


def _birth_text(record: SourceRecord) -> Iterator[str]:
    if record.demographics.birth_date:
        yield str(record.demographics.birth_date)


def _gender_text(record: SourceRecord) -> Iterator[str]:
    if record.demographics.gender != "unknown":
        yield record.demographics.gender


def _contact_values(record: SourceRecord) -> Iterator[str]:
    return (value for _, value in _contacts(record))


_TEXTS: dict[str, Texts] = {
    **_STRINGS,
    "birthdate": _birth_text,
    "gender": _gender_text,
    "telecom": _contact_values,
}
_OTHERS: dict[str, Callable[[Parameter], Condition]] = {
    "_lastUpdated": _last_updated,
    "active": _active,
    "birthdate": _birthdate,
    "gender": _gender,
    "identifier": _identifier,
    "telecom": _telecom,
}
