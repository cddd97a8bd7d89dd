"""What was kept comes back in its place, and never under another thing's name."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.fhir.kept import give_back, keep

OURS = {"extension": [{"url": "urn:ours", "valueCode": "empty"}]}


@pytest.mark.parametrize(
    "beside",
    [
        {"extension": [{"url": "urn:theirs", "valueString": "y"}]},
        {"extension": [{"url": "urn:ours", "valueCode": "full", "id": "a"}]},
        {"extension": [{"url": "urn:ours", "valueCode": "empty"}, {"url": "urn:theirs", "valueString": "y"}]},
        {"id": "a"},
    ],
)
def test_an_extension_of_somebody_else_stands_beside_ours_and_is_not_mixed_with_it(beside: dict[str, Any]) -> None:
    known = {"payload": "x", "_payload": OURS}
    back = give_back(known, keep({"payload": "x", "_payload": beside}, known))
    for extension in back["_payload"]["extension"]:
        assert len([name for name in extension if name.startswith("value")]) == 1
    named = {each["url"] for each in back["_payload"]["extension"]}
    assert named == {"urn:ours", *(each["url"] for each in beside.get("extension", ()))}


def test_what_is_single_on_both_sides_and_no_extension_is_looked_into() -> None:
    known = {"coding": [{"system": "s", "code": "c"}]}
    original = {"coding": [{"system": "s", "code": "c", "userSelected": True}]}
    assert keep(original, known) == {"coding": [{"userSelected": True}]}
    assert give_back(known, keep(original, known)) == original
