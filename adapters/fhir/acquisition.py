"""How a series was taken, which ImagingStudy has no element for: an extension of the series.

Whoever is about to order asks what speaks for a study elsewhere: thin slices, contrast, how much was covered. FHIR has
no place for it, so it travels under a name of our own; who does not know it passes over it.

    urn:hie-node:acquisition      on ImagingStudy.series, at most once
        slice-thickness           valueQuantity, mm        (0018,0050)
        kernel                    valueString              (0018,1210)
        contrast-agent            valueString              (0018,0010)
        coverage                  valueQuantity, mm        along the patient's axis, from the places of the slices
        ctdi-vol                  valueQuantity, mGy       (0018,9345)

Source: DICOM PS3.3: C.8.2.1 (CT image), C.7.6.4 (contrast), FHIR R4: 2.4 (extensibility).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from adapters.fhir.elements import Element
from registry.studies import Series

ACQUISITION = "urn:hie-node:acquisition"
UCUM = "http://unitsofmeasure.org"
_LARGEST = 10_000
"""Of any of these quantities; more is no quantity of a patient."""
_LONGEST = 256
_QUANTITIES = {"slice-thickness": ("slice_thickness", "mm"), "coverage": ("extent", "mm"), "ctdi-vol": ("dose", "mGy")}
_TEXTS = {"kernel": "kernel", "contrast-agent": "contrast_agent"}


def acquisition(series: Series) -> list[Element]:
    """The extension; nothing where the header told nothing."""
    told: dict[str, float | None] = {
        "slice-thickness": series.slice_thickness,
        "coverage": series.coverage,
        "ctdi-vol": series.dose,
    }
    inner = [_quantity(url, value, _QUANTITIES[url][1]) for url, value in told.items() if value]
    texts = {url: getattr(series, field) for url, field in _TEXTS.items()}
    inner += [{"url": url, "valueString": value} for url, value in texts.items() if value]
    return [{"url": ACQUISITION, "extension": inner}] if inner else []


def read_acquisition(element: Element) -> dict[str, Any]:
    """Fields of the series, as far as they are in order; what a peer says beyond that is passed over."""
    found: dict[str, Any] = {}
    ours = [each for each in element.get("extension", ()) if each.get("url") == ACQUISITION]
    for inner in ours[0].get("extension", ()) if ours else ():
        url = inner.get("url")
        if url in _QUANTITIES:
            field, unit = _QUANTITIES[url]
            if (value := _amount(inner.get("valueQuantity", {}), unit)) is not None:
                found[field] = value
        elif url in _TEXTS and 0 < len(inner.get("valueString", "")) <= _LONGEST:
            found[_TEXTS[url]] = inner["valueString"]
    return found


def _quantity(url: str, value: float, unit: str) -> Element:
    amount = Decimal(f"{value:.3f}").normalize()
    return {"url": url, "valueQuantity": {"value": amount, "unit": unit, "system": UCUM, "code": unit}}


def _amount(quantity: Element, unit: str) -> float | None:
    value = quantity.get("value")
    if quantity.get("code") != unit or not isinstance(value, int | Decimal) or not 0 < value <= _LARGEST:
        return None
    return float(value)
