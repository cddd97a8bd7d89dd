"""The options by which a command names a patient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from registry.identifiers import PatientIdentifier
    from registry.searches import PatientSelector

Number = Annotated[
    list[str] | None,
    typer.Option("--number", help="SYSTEM|VALUE, or VALUE alone: personal number, insurance card, or number here."),
]
Name = Annotated[str | None, typer.Option("--name", help="Full name.")]
BirthDay = Annotated[str | None, typer.Option("--birth-date", help="YYYY-MM-DD, or the year.")]
Sex = Annotated[str | None, typer.Option("--gender", help="male or female.")]
DaysBack = Annotated[int, typer.Option("--days", min=1, max=36_500, help="How far back.")]


def patient_number(text: str, own_system: str) -> PatientIdentifier:
    """A number as people type it: its form tells a personal number and an insurance card from a local one."""
    from registry.identifiers import INSURANCE_NUMBER, PatientIdentifier, identity_number, insurance_last_ten

    system, bar, value = text.rpartition("|")
    if bar:
        return PatientIdentifier(system, value)
    if insurance_last_ten(text) and not text.isdigit():
        return PatientIdentifier(INSURANCE_NUMBER, text)
    known = identity_number(text)
    return known if known and len(known.value) == 12 else PatientIdentifier(own_system, text)


def selector(
    numbers: list[str] | None, name: str | None, birth_date: str | None, gender: str | None, *, own_system: str
) -> PatientSelector:
    """The patient as the options describe them."""
    from registry.people import BirthDate, Demographics, HumanName, PatientInQuestion
    from registry.searches import PatientSelector

    described = PatientInQuestion(
        tuple(patient_number(number, own_system) for number in numbers or ()),
        Demographics(
            name=HumanName.of(name) if name else None,
            birth_date=BirthDate(birth_date) if birth_date else None,
            gender=gender or "unknown",  # type: ignore[arg-type]
        ),
    )
    if described.is_empty:
        raise typer.BadParameter("say who: --number, or --name with --birth-date", param_hint="patient")
    return PatientSelector(described=described)
