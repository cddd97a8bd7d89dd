"""What went wrong, in FHIR's words: issues, the OperationOutcome around them, errors that become one.

    FhirError
    ├── BadRequest            400  cannot be read, or asks what cannot be asked
    ├── NotFound              404
    ├── NotAcceptable         406  no format in common
    ├── Conflict              409
    ├── Gone                  410  was deleted
    ├── PreconditionFailed    412  changed meanwhile, or a condition matches several
    ├── ContentTooLarge       413
    ├── UnsupportedMediaType  415
    └── Unprocessable         422  can be read, but breaks a rule

Texts name places and rules, never content: what a patient's record says does not belong into an error.

Source: HL7 FHIR R4, OperationOutcome, https://hl7.org/fhir/R4/operationoutcome.html, and 3.1.0 (RESTful API)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, get_args

from adapters.fhir import Resource
from adapters.fhir.structure import code_list

Severity: TypeAlias = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing to say about a request or a resource.

    code        of the value set issue-type
    text        for people; free of personal data
    expression  FHIRPath of the elements concerned: `Patient.name[0].family`
    """

    severity: Severity
    code: str
    text: str
    expression: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.severity not in get_args(Severity):
            raise ValueError(f"issue severity: expected one of {get_args(Severity)}, found {self.severity!r}")
        if self.code not in code_list("issue-type"):
            raise ValueError(f"issue code: expected a code of issue-type, found {self.code!r}")

    @property
    def is_error(self) -> bool:
        return self.severity in ("fatal", "error")


def operation_outcome(issues: Iterable[Issue]) -> Resource:
    """The resource that carries the issues; with none to tell it says that all is well."""
    told = [_as_element(issue) for issue in issues]
    return {
        "resourceType": "OperationOutcome",
        "issue": told or [_as_element(Issue("information", "informational", "No issues."))],
    }


def _as_element(issue: Issue) -> Resource:
    element: Resource = {
        "severity": issue.severity,
        "code": issue.code,
        "details": {"text": issue.text},
    }
    if issue.expression:
        element["expression"] = list(issue.expression)
    return element


class FhirError(Exception):
    """A request that FHIR answers with an HTTP status and an OperationOutcome.

    Made of issues, or of plain texts that become errors with the code that is usual for the status.
    """

    status: int = 500
    usual_code: ClassVar[str] = "exception"

    def __init__(self, *issues: Issue | str, status: int | None = None) -> None:
        self.issues = tuple(Issue("error", self.usual_code, each) if isinstance(each, str) else each for each in issues)
        if status is not None:
            self.status = status
        super().__init__("; ".join(issue.text for issue in self.issues))

    def operation_outcome(self) -> Resource:
        return operation_outcome(self.issues)


class BadRequest(FhirError):
    """The request cannot be read, or asks what cannot be asked."""

    status = 400
    usual_code = "invalid"


class NotFound(FhirError):
    """Nothing here under this address, or nothing that this requester may know of."""

    status = 404
    usual_code = "not-found"


class NotAcceptable(FhirError):
    """The answer cannot be written in any format that the requester accepts."""

    status = 406
    usual_code = "not-supported"


class Conflict(FhirError):
    """The change contradicts what is stored."""

    status = 409
    usual_code = "conflict"


class Gone(FhirError):
    """The resource was deleted."""

    status = 410
    usual_code = "deleted"


class PreconditionFailed(FhirError):
    """The version is no longer current, or the condition matches more than one resource."""

    status = 412
    usual_code = "conflict"


class ContentTooLarge(FhirError):
    """The body is larger than this node reads."""

    status = 413
    usual_code = "too-long"


class UnsupportedMediaType(FhirError):
    """The body is in a format that this node does not read."""

    status = 415
    usual_code = "not-supported"


class Unprocessable(FhirError):
    """The resource can be read, but breaks a rule; nothing was stored."""

    status = 422
    usual_code = "business-rule"
