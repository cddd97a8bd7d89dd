"""What a search says beside its conditions: how many, where it goes on, and which parameters were understood.

A parameter that is not supported is left out of the answer's `self` link and named in a warning; with
`Prefer: handling=strict` it is refused.

Source: HL7 FHIR R4, 3.1.1.3 (search control), https://hl7.org/fhir/R4/search.html; IHE MHD 4.2.3, 2:3.67.4.1.3
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from adapters.fhir.issues import BadRequest, Issue
from adapters.fhir.search_values import MAX_PARAMETERS, DateValue, Parameter, parse_query
from adapters.fhir.writing import answer_format, is_strict, read_after
from adapters.wire import Pairs, WireRequest
from registry.commands import Item, Page
from registry.searches import Cursor

Understands = Callable[[Parameter], bool]

USUAL_COUNT = 50
LARGEST_COUNT = 500
MAX_DIGITS = 20
_SILENT = frozenset({"_pretty"})
_CONTROLS: dict[str, frozenset[str] | None] = {
    "_count": None,
    "_after": None,
    "_summary": frozenset({"count", "false"}),
    "_total": frozenset({"none", "estimate", "accurate"}),
    "_sort": frozenset({"-date"}),
}
"""What a search can say of its result, with the values that are granted; None where the value is read."""
_WHOSE = frozenset({"patient", "subject"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One search as it came.

    conditions  the parameters that look at the things searched for; all must hold
    used        every parameter that was understood, for the `self` link
    warnings    what was not understood
    count_only  only the number is wanted
    """

    conditions: tuple[Parameter, ...]
    used: Pairs
    warnings: tuple[Issue, ...] = ()
    count: int = USUAL_COUNT
    after: Cursor | None = None
    count_only: bool = False

    def named(self, *names: str) -> list[Parameter]:
        """The conditions of these names; a chain is part of the name: `patient.identifier`."""
        return [each for each in self.conditions if full_name(each) in names]

    def shown(self, page: Page[Item]) -> Page[Item]:
        """The page as it is answered: without its items where only their number is wanted."""
        if not self.count_only:
            return page
        total = page.total if page.total is not None or page.next else len(page.items)
        return replace(page, items=(), total=total, next=None)


def full_name(parameter: Parameter) -> str:
    """Name and chain: `patient.identifier`."""
    return parameter.name + (f".{parameter.chain}" if parameter.chain else "")


def read_search(request: WireRequest, supported: Collection[str] | Understands) -> Asked:
    """The search in a request; `supported` are the conditions, by name or by a closer look. Raises BadRequest."""
    answer_format(request)
    if len(request.query) > MAX_PARAMETERS:
        raise BadRequest(f"A search has at most {MAX_PARAMETERS} parameters.")
    conditions: list[Parameter] = []
    controls: dict[str, str] = {}
    used: list[tuple[str, str]] = []
    warnings: list[Issue] = []
    for name, value in request.query:
        if name in _SILENT:
            continue
        if name == "_format":
            # read by `answer_format`, which takes the first; the next page comes as this one does
            if name not in dict(used):
                used.append((name, value))
            continue
        parameter = None if name in _CONTROLS else parse_query([(name, value)])[0]
        if parameter is None and _granted(name, value):
            controls[name] = value
        elif parameter is not None and _understood(parameter, supported):
            conditions.append(parameter)
        else:
            warnings.append(_unsupported(request, full_name(parameter) if parameter else name))
            continue
        used.append((name, value))
    count = page_size(controls.get("_count"))
    asked = Asked(
        conditions=tuple(conditions),
        used=tuple((name, str(count) if name == "_count" else value) for name, value in used),
        warnings=tuple(warnings),
        count=count or USUAL_COUNT,
        after=read_after(controls["_after"]) if "_after" in controls else None,
        count_only=count == 0 or controls.get("_summary") == "count",
    )
    request.kept.update(used=asked.used, unsupported=asked.warnings)
    return asked


def _granted(name: str, value: str) -> bool:
    values = _CONTROLS[name]
    return values is None or value in values


def _understood(parameter: Parameter, supported: Collection[str] | Understands) -> bool:
    known = supported(parameter) if callable(supported) else full_name(parameter) in supported
    if not known and parameter.name in _WHOSE:
        # left out, it would show other patients
        told = "The patient is searched by reference or by patient.identifier here."
        raise BadRequest(Issue("error", "not-supported", told))
    return known


def _unsupported(request: WireRequest, name: str) -> Issue:
    shown = name if name.replace("-", "").replace("_", "").replace(".", "").isalnum() else "of this name"
    text = f"The search parameter {shown} is not supported as it was given and was left out."
    if is_strict(request):
        raise BadRequest(Issue("error", "not-supported", f"The search parameter {shown} is not supported."))
    return Issue("warning", "not-supported", text)


def page_size(text: str | None) -> int:
    """`_count` as it is given, within what one page may hold. Raises BadRequest."""
    if text is None:
        return USUAL_COUNT
    if not (text.isascii() and text.isdigit()) or len(text) > MAX_DIGITS:
        raise BadRequest("_count is a whole number, zero or more.")
    return min(int(text), LARGEST_COUNT)


def one_value(parameter: Parameter) -> str:
    """Its only value, without a modifier. Raises BadRequest."""
    if len(parameter.values) != 1 or parameter.modifier:
        raise BadRequest(f"{full_name(parameter)} takes one value and no modifier.")
    return parameter.values[0]


def date_values(parameter: Parameter) -> list[DateValue]:
    """Its dates, of which one must hold. Raises BadRequest."""
    if parameter.modifier:
        raise BadRequest(f"{full_name(parameter)} takes no modifier but :missing.")
    return [DateValue.parse(value) for value in parameter.values]
