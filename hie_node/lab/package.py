"""The tables that lie beside the lab's code."""

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def table(name: str) -> Any:
    """The JSON file `name` of this package, read once; callers must not change it."""
    return json.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))
