"""Every refusal is an OperationOutcome that passes our own check."""

from __future__ import annotations

import pytest

from adapters.fhir import issues
from adapters.fhir.check import check
from adapters.fhir.issues import BadRequest, FhirError, Issue, Unprocessable, operation_outcome


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("BadRequest", 400),
        ("NotFound", 404),
        ("NotAcceptable", 406),
        ("Conflict", 409),
        ("Gone", 410),
        ("PreconditionFailed", 412),
        ("ContentTooLarge", 413),
        ("UnsupportedMediaType", 415),
        ("Unprocessable", 422),
    ],
)
def test_an_error_has_its_status_and_a_valid_outcome(name: str, status: int) -> None:
    error = getattr(issues, name)("something is wrong")
    assert error.status == status
    assert check(error.operation_outcome()) == []


def test_an_outcome_names_the_place() -> None:
    issue = Issue("error", "required", "this element is required", ("Patient.name",))
    assert Unprocessable(issue).operation_outcome() == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "required",
                "details": {"text": "this element is required"},
                "expression": ["Patient.name"],
            }
        ],
    }


def test_an_outcome_without_issues_says_that_all_is_well() -> None:
    assert check(operation_outcome([])) == []


def test_another_status_can_be_given() -> None:
    assert FhirError(Issue("error", "throttled", "later"), status=429).status == 429
    assert BadRequest("no").status == 400


def test_an_issue_with_a_code_that_fhir_does_not_have_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="issue-type"):
        Issue("error", "broken", "x")
