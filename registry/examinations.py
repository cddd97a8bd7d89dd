"""Which examinations are the same: modality, region and contrast, whatever scanner and service code.

The same examination has different service codes by scanner class (brain CT without contrast is 18.0149.0040,
18.0165.0043 or 18.0178.0047), so equality of codes misses exactly the case of a referral.
Source of the table: price annex of decision 3467/QĐ-BYT; the grouping is ours.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from registry.vietnamese import folded


@dataclass(frozen=True, slots=True)
class Examination:
    """A kind of examination. `contrast` is None where neither code nor header tells."""

    modality: str
    region: str
    contrast: bool | None = None

    @property
    def key(self) -> str:
        """`CT/brain/plain`: what two requests are compared by."""
        return f"{self.modality}/{self.region}/{_CONTRAST[self.contrast]}"

    def may_be(self, other: Examination) -> bool:
        """Nothing known of one contradicts the other; a region may hold another (abdomen_pelvis holds abdomen)."""
        regions = self.region == other.region or self.region in other.region or other.region in self.region
        contrast = None in (self.contrast, other.contrast) or self.contrast == other.contrast
        return self.modality == other.modality and regions and contrast


_CONTRAST = {True: "contrast", False: "plain", None: "unknown"}


@dataclass(frozen=True, slots=True)
class Service:
    """One row of a price list. `price` in đồng; `rows` is the detector class of the scanner."""

    code: str
    name: str
    examination: Examination
    price: int
    rows: str | None


@cache
def catalogue() -> dict[str, Service]:
    """The CT and MRI services of the national list, by code."""
    rows = json.loads(files("registry").joinpath("imaging_catalogue.json").read_text("utf-8"))["services"]
    return {
        row["code"]: Service(
            row["code"],
            row["name_vi"],
            Examination(_modality(row["modality"]), row["exam"], row["contrast"]),
            row["price_vnd"],
            row.get("ct_rows"),
        )
        for row in rows
    }


def by_service_code(code: str) -> Service | None:
    """The service of a code as hospitals write it: suffixes (`_GT`, `.K.01929`) do not change the examination."""
    bare = code.strip().split("_")[0]
    return catalogue().get(".".join(bare.split(".")[:3]))


def _modality(value: str) -> str:
    return "MR" if value in ("MRI", "MR") else value


# what is longer stands first: "cột sống thắt lưng" ends like a lung, and "cột sống ngực" is no chest
_REGION_WORDS: tuple[tuple[str, str], ...] = (
    ("cot song co", "cervical_spine"),
    ("cot song nguc", "thoracic_spine"),
    ("that lung", "lumbar_spine"),
    ("thoracic spine", "thoracic_spine"),
    ("tspine", "thoracic_spine"),
    ("mach mau nao", "brain_vessels"),
    ("mach nao", "brain_vessels"),
    ("tuoi mau nao", "brain_perfusion"),
    ("mach canh", "neck_vessels"),
    ("mach vanh", "coronary_heart"),
    ("tuyen yen", "pituitary"),
    ("so nao", "brain"),
    ("nao", "brain"),
    ("brain", "brain"),
    ("head", "brain"),
    ("skull", "brain"),
    ("long nguc", "chest"),
    ("nguc", "chest"),
    ("phoi", "chest"),
    ("chest", "chest"),
    ("thorax", "chest"),
    ("lung", "chest"),
    ("o bung tieu khung", "abdomen_pelvis"),
    ("bung chau", "abdomen_pelvis"),
    ("abdomenpelvis", "abdomen_pelvis"),
    ("abdomen pelvis", "abdomen_pelvis"),
    ("o bung", "abdomen"),
    ("bung", "abdomen"),
    ("abdomen", "abdomen"),
    ("tieu khung", "pelvis"),
    ("pelvis", "pelvis"),
    ("cspine", "cervical_spine"),
    ("cervical", "cervical_spine"),
    ("lspine", "lumbar_spine"),
    ("lumbar", "lumbar_spine"),
    ("khop goi", "joint"),
    ("knee", "joint"),
)


def from_header(modality: str, *texts: str | None, contrast_agent: str | None = None) -> Examination | None:
    """The examination as far as a DICOM header tells: BodyPartExamined first, then what people typed.

    Absence of a contrast agent in the header is no proof that none was given, so contrast stays unknown then.
    """
    if modality not in ("CT", "MR"):
        return None
    for plain in (folded(text) for text in texts if text):
        for word, region in _REGION_WORDS:
            if word in plain:
                return Examination(modality, region, True if contrast_agent else None)
    return None
