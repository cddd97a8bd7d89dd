"""Whose things a search is about: by the registry's id, by numbers, or by a description that travels in the question.

Source: HL7 FHIR R4, 3.1.1.4.4 (chained parameters); IHE PDQm 3.2, 2:3.78.4.1.2 (what describes a patient)
"""

from __future__ import annotations

from dataclasses import replace

from adapters.fhir.issues import BadRequest, Issue
from adapters.fhir.search_values import Parameter, ReferenceValue, TokenValue, unescape
from registry.errors import InvalidValue
from registry.identifiers import PatientIdentifier
from registry.people import GENDERS, NOTHING_KNOWN, BirthDate, Demographics, HumanName, PatientInQuestion
from registry.searches import PatientSelector


class AskedPatient:
    """Gathers the patient parameters of one search; each must be understood."""

    def __init__(self, base: str) -> None:
        self._bases = (base + "/", base.replace("/network/", "/") + "/")
        self._record_id: str | None = None
        self._identifiers: list[PatientIdentifier] = []
        self._words: dict[str, str] = {}

    def add(self, parameter: Parameter) -> None:
        """`patient=`, `patient:identifier=`, or one of the chained `patient.name=` and so on. Raises BadRequest."""
        if parameter.chain is None and parameter.modifier in (None, "Patient"):
            self._add_reference(parameter)
        elif parameter.chain == "identifier" or (parameter.chain is None and parameter.modifier == "identifier"):
            self._identifiers += [_read_number(value) for value in parameter.values]
        elif parameter.chain in ("name", "family", "given", "birthdate", "gender"):
            self._add_words(parameter.chain, parameter)
        else:
            told = "The patient is described by identifier, name, family, given, birthdate and gender."
            raise BadRequest(Issue("error", "not-supported", told))

    def selector(self) -> PatientSelector:
        """Raises BadRequest for a description that fits nobody in particular."""
        described = PatientInQuestion(tuple(dict.fromkeys(self._identifiers)), self._demographics())
        if described == PatientInQuestion():
            return PatientSelector(self._record_id)
        if described.is_empty and self._record_id is None:
            raise BadRequest(Issue("error", "required", "A patient is described by a number or a name, and more."))
        return PatientSelector(self._record_id, None if described.is_empty else described)

    def _add_reference(self, parameter: Parameter) -> None:
        found = [ReferenceValue.parse(self._relative(value)) for value in parameter.values]
        wanted = {each.id for each in found}
        if len(wanted | ({self._record_id} - {None})) != 1:
            raise BadRequest("A search is about one patient.")
        if any(each.url or each.type not in (None, "Patient") for each in found):
            raise BadRequest("The patient is named by a Patient of this node, or by patient.identifier.")
        self._record_id = found[0].id

    def _relative(self, value: str) -> str:
        """A Patient of this node is the same from its own base and from that of the network."""
        for base in self._bases:
            value = value.removeprefix(base)
        return value

    def _add_words(self, name: str, parameter: Parameter) -> None:
        if len(parameter.values) != 1 or name in self._words:
            raise BadRequest(f"A search is about one patient; patient.{name} stands once.")
        self._words[name] = unescape(parameter.values[0]).strip()

    def _demographics(self) -> Demographics:
        words = self._words
        parts = f"{words.get('family', '')} {words.get('given', '')}".strip()
        text = words.get("name") or parts
        try:
            name = HumanName(text, words.get("family"), words.get("given")) if text else None
            known = replace(NOTHING_KNOWN, name=name)
            if "birthdate" in words:
                known = replace(known, birth_date=BirthDate(words["birthdate"].removeprefix("eq")))
        except InvalidValue as error:
            raise BadRequest(str(error)) from None
        if words.get("gender", "unknown") not in GENDERS:
            raise BadRequest("patient.gender is male, female, other or unknown.")
        # checked a line above; a Literal cannot be narrowed by membership
        return replace(known, gender=words.get("gender", "unknown"))  # type: ignore[arg-type]


def _read_number(value: str) -> PatientIdentifier:
    token = TokenValue.parse(value)
    if not token.system or not token.code:
        raise BadRequest("A patient's number is searched with its system: system|value.")
    try:
        return PatientIdentifier(token.system, token.code)
    except InvalidValue as error:
        raise BadRequest(str(error)) from None
