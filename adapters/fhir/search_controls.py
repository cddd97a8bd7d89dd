"""What a search says beside its conditions: how many, where it goes on, and which parameters were understood.

A parameter that is not supported is left out of the answer's `self` link and named in a warning; with
`Prefer: handling=strict` it is refused.

Source: HL7 FHIR R4, 3.1.1.3 (search control), https://hl7.org/fhir/R4/search.html; IHE MHD 4.2.3, 2:3.67.4.1.3
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from adapters.fhir.issues import BadRequest, Issue
from adapters.fhir.search_values import DateValue, Parameter, parse_query
from adapters.fhir.writing import answer_format, is_strict, read_after
from adapters.wire import Pairs, WireRequest
from registry.commands import Item, Page
from registry.searches import Cursor

USUAL_COUNT = 50
LARGEST_COUNT = 200
_SILENT = frozenset({"_format", "_pretty"})
_CONTROLS = frozenset({"_count", "_after", "_summary", "_total"})


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


def read_search(request: WireRequest, supported: Collection[str]) -> Asked:
    """The search in a request; `supported` are the names of its conditions. Raises BadRequest."""
    answer_format(request)
    pairs = [(name, value) for name, value in request.query if name not in _SILENT]
    conditions: list[Parameter] = []
    controls: dict[str, str] = {}
    used: list[tuple[str, str]] = []
    warnings: list[Issue] = []
    for pair, parameter in zip(pairs, parse_query(pairs), strict=True):
        if parameter.name in _CONTROLS:
            controls[parameter.name] = pair[1]
        elif full_name(parameter) in supported:
            conditions.append(parameter)
        else:
            warnings.append(_unsupported(request, parameter))
            continue
        used.append(pair)
    count = _count(controls.get("_count"))
    return Asked(
        conditions=tuple(conditions),
        used=tuple(used),
        warnings=tuple(warnings),
        count=count or LARGEST_COUNT,
        after=read_after(controls["_after"]) if "_after" in controls else None,
        count_only=count == 0 or _only_counts(controls.get("_summary")),
    )


def _unsupported(request: WireRequest, parameter: Parameter) -> Issue:
    text = f"The search parameter {full_name(parameter)} is not supported and was left out."
    if is_strict(request):
        raise BadRequest(Issue("error", "not-supported", text))
    return Issue("warning", "not-supported", text)


def _count(text: str | None) -> int:
    if text is None:
        return USUAL_COUNT
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise BadRequest("_count is a whole number.")
    return min(int(text), LARGEST_COUNT)


def _only_counts(summary: str | None) -> bool:
    if summary not in (None, "count", "false"):
        raise BadRequest("_summary is count or false.")
    return summary == "count"


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
