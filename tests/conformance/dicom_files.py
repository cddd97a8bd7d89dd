"""A DICOM file as dciodvfy (dicom3tools) and dsrdump (DCMTK) judge it: every module, attribute and content item of its
IOD.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

JUDGES = {"dciodvfy": ("-new",), "dsrdump": ("--print-filename",)}
_ERRORS = ("Error", "E:", "F:")


def faults(content: bytes, *judges: str) -> list[str]:
    """What is an error to one of the judges, with its name; what is a warning is a matter of taste."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        (file := Path(folder) / "judged.dcm").write_bytes(content)
        for name in judges or JUDGES:
            assert shutil.which(name), "./run test installs it"
            ran = subprocess.run([name, *JUDGES[name], file], capture_output=True, check=False, timeout=60)
            lines = (ran.stdout + ran.stderr).decode("utf-8", "replace").splitlines()
            found += [f"{name}: {line}" for line in lines if line.startswith(_ERRORS)]
    return found
