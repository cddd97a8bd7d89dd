"""Mobile Patient Identifier Cross-reference Query: under which other numbers is this patient known?

Source: IHE PIXm 3.1, 2:3.83, https://profiles.ihe.net/ITI/PIXm/ITI-83.html
"""

from __future__ import annotations

from adapters.fhir import Resource, outcome
from adapters.fhir.elements import Element, identifier
from adapters.fhir.issues import BadRequest, Issue, operation_outcome
from adapters.fhir.operations import named, only, parameters, unusable
from adapters.fhir.reading import read_resource
from adapters.fhir.search_controls import full_name, one_value
from adapters.fhir.search_values import TokenValue, parse_query, unescape
from adapters.fhir.writing import answer_format, respond
from adapters.transactions import Transaction
from adapters.wire import WireRequest, WireResponse
from registry.commands import CrossReference, CrossReferences
from registry.errors import NotFound, UnknownAuthority, UnknownTargetSystem
from registry.identifiers import PatientIdentifier

OPERATION = ("ihe-pix", "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix")
SOURCE = "IHE PIXm 3.1, 2:3.83"
MOST_BYTES = 64 * 1024
MOST_TARGETS = 50

ANSWERS: dict[type[Exception], tuple[int, str, str]] = {
    NotFound: (404, "not-found", "sourceIdentifier Patient Identifier not found"),
    UnknownAuthority: (400, "code-invalid", "sourceIdentifier Assigning Authority not found"),
    UnknownTargetSystem: (403, "code-invalid", "targetSystem not found"),
}
"""Status, issue code and diagnostics, to the letter. Source: 2:3.83.4.2.2, cases 3 to 5."""


def decode(request: WireRequest) -> CrossReference:
    """From the URL. `sourceIdentifier` once, `targetSystem` any number of times."""
    answer_format(request)
    sources, targets = [], []
    for parameter in parse_query(request.query):
        if parameter.name == "sourceIdentifier":
            sources.append(TokenValue.parse(one_value(parameter)))
        elif parameter.name == "targetSystem" and parameter.modifier is None:
            targets += [unescape(value).removesuffix("|") for value in parameter.values]
        elif parameter.name not in ("_format", "_pretty"):
            raise BadRequest(Issue("error", "not-supported", f"{full_name(parameter)} is no parameter of $ihe-pix."))
    return _asked(sources, targets)


def decode_parameters(request: WireRequest) -> CrossReference:
    """From a Parameters resource; the URL may say the same things, but not more."""
    if any(name in ("sourceIdentifier", "targetSystem") for name, _ in request.query):
        raise BadRequest("A POST has its parameters in the body.")
    body, _ = read_resource(request, "Parameters", MOST_BYTES)
    value = only(body, "sourceIdentifier", "valueString", "valueIdentifier", "valueUri")
    if isinstance(value, dict):
        sources = [TokenValue(value.get("system", ""), value.get("value"))]
    else:
        sources = [TokenValue.parse(value)] if value else []
    return _asked(sources, [_target(each) for each in named(body, "targetSystem")])


def _target(part: Element) -> str:
    value = next((part[kind] for kind in ("valueString", "valueUri", "valueUrl") if kind in part), None)
    if value is None:
        raise unusable("targetSystem", "expected valueString or valueUri")
    return str(value)


def _asked(sources: list[TokenValue], targets: list[str]) -> CrossReference:
    if len(sources) != 1 or not sources[0].system or not sources[0].code:
        raise BadRequest(Issue("error", "required", "sourceIdentifier is needed once, as system|value."))
    if len(targets) > MOST_TARGETS:
        raise BadRequest(Issue("error", "too-costly", f"targetSystem stands at most {MOST_TARGETS} times."))
    return CrossReference(PatientIdentifier(sources[0].system, sources[0].code), tuple(dict.fromkeys(targets)))


def encode(found: CrossReferences, request: WireRequest) -> WireResponse:
    numbers: list[Element] = [
        {"name": "targetIdentifier", "valueIdentifier": identifier(each)} for each in found.identifiers
    ]
    ids: list[Element] = [
        {"name": "targetId", "valueReference": {"reference": f"Patient/{each}"}} for each in found.record_ids
    ]
    return respond(request, parameters([*numbers, *ids]))


def error(exception: Exception, request: WireRequest) -> WireResponse:
    """In the words that PIXm prescribes, for what PIXm foresees."""
    answer = ANSWERS.get(type(exception))
    if answer is None:
        return outcome.error(exception, request)
    status, code, text = answer
    told: Resource = operation_outcome([Issue("error", code, text)])
    told["issue"][0]["diagnostics"] = text
    return respond(request, told, status)


TRANSACTION = Transaction(
    "ITI-83",
    "Cross-reference a Patient",
    source=SOURCE,
    route=("GET", "/Patient/$ihe-pix"),
    command=CrossReference,
    decode=decode,
    encode=encode,
    error=error,
    scope=("Patient", "s"),
)
POSTED = Transaction(
    "ITI-83",
    "Cross-reference a Patient",
    source=SOURCE,
    route=("POST", "/Patient/$ihe-pix"),
    command=CrossReference,
    decode=decode_parameters,
    encode=encode,
    error=error,
    scope=("Patient", "s"),
)
TRANSACTIONS = (TRANSACTION, POSTED)
