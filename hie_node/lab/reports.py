"""Believable CT and MRI reports in Vietnamese, with the codes that belong to them.

Sources: service codes, names and prices of decision 3467/QĐ-BYT (2024-11-15), LOINC, ICD-10.
The texts are invented; their shape (KỸ THUẬT / MÔ TẢ HÌNH ẢNH / KẾT LUẬN) is that of Vietnamese radiology.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Literal

from hie_node.lab.package import table


@dataclass(frozen=True, slots=True)
class Service:
    """One line of the price list: the same examination has another code on another class of scanner."""

    code: str
    name: str
    price: int


@dataclass(frozen=True, slots=True)
class ReportText:
    """What a radiologist dictated, and the diagnosis the visit ended with."""

    technique: str
    findings: tuple[str, ...]
    conclusion: str
    reason: str
    icd10: str
    diagnosis: str

    @property
    def description(self) -> str:
        """Technique and findings, as one field of a hospital system holds them."""
        lines = "\n".join(f"- {line}" for line in self.findings)
        return f"KỸ THUẬT: {self.technique}\nMÔ TẢ HÌNH ẢNH:\n{lines}"

    def __str__(self) -> str:
        return f"{self.description}\nKẾT LUẬN: {self.conclusion}\n"


@dataclass(frozen=True, slots=True)
class ExaminationKind:
    """An examination as a doctor means it: modality, region and contrast, whatever the scanner.

    region    the grouping key of the imaging catalogue
    services  by scanner class: detector rows of a CT, field strength of an MRI
    """

    key: str
    modality: Literal["CT", "MR"]
    region: str
    body_part: str
    contrast: bool
    title: str
    loinc_code: str
    loinc_display: str
    services: Mapping[str, Service]
    variants: tuple[ReportText, ...]

    def service(self, scanner: str) -> Service:
        """The line for this class of scanner; an MRI has only one."""
        return self.services.get(scanner) or next(iter(self.services.values()))


@cache
def examination_kinds() -> Mapping[str, ExaminationKind]:
    """Every kind by its key."""
    return {row["key"]: _kind(row) for row in table("reports.json")["kinds"]}


def report(kind: ExaminationKind, rng: Random) -> ReportText:
    """One of the texts of this kind."""
    return rng.choice(kind.variants)


def _kind(row: Mapping[str, Any]) -> ExaminationKind:
    return ExaminationKind(
        key=row["key"],
        modality=row["modality"],
        region=row["region"],
        body_part=row["body_part"],
        contrast=row["contrast"],
        title=row["title"],
        loinc_code=row["loinc"]["code"],
        loinc_display=row["loinc"]["display"],
        services={scanner: Service(*line) for scanner, line in row["services"].items()},
        variants=tuple(_variant(row["technique"], variant) for variant in row["variants"]),
    )


def _variant(technique: str, row: Mapping[str, Any]) -> ReportText:
    return ReportText(
        technique=technique,
        findings=tuple(row["findings"]),
        conclusion=row["conclusion"],
        reason=row["reason"],
        icd10=row["icd10"],
        diagnosis=row["diagnosis"],
    )
