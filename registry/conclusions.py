"""The conclusion of an imaging report in plain text, as Vietnamese reports are written: under its own heading.

Source: usual shape of Vietnamese imaging reports (KỸ THUẬT, MÔ TẢ HÌNH ẢNH, KẾT LUẬN).
"""

from __future__ import annotations

import re

from registry.vietnamese import folded

LONGEST = 400
_HEADING = re.compile(r"^\W*(ket luan|conclusion|impression)\b\W*(.*)$")
_ANOTHER = re.compile(r"^\W*(ki thuat|mo ta|de nghi|ghi chu|bac si|nguoi doc|ngay|thoi diem|description|technique)\b")


def conclusion_of(text: str) -> str:
    """The words under the last such heading, on one line; empty where there is none."""
    lines = text.splitlines()
    start = next((n for n in range(len(lines) - 1, -1, -1) if _HEADING.match(folded(lines[n]))), None)
    if start is None:
        return ""
    _, _, beside = lines[start].partition(":")
    said = [beside.strip()] if beside.strip() else []
    for line in lines[start + 1 :]:
        if _ANOTHER.match(folded(line)) or (said and not line.strip()):
            break
        if line.strip():
            said.append(line.strip())
    joined = " ".join(said)
    return joined if len(joined) <= LONGEST else joined[: LONGEST - 1].rstrip() + "…"
