"""A PDF as qpdf reads it, at its strictest: nothing has to be guessed, mended or passed over."""

from __future__ import annotations

import io

import pikepdf


def faults(content: bytes) -> list[str]:
    try:
        with pikepdf.open(io.BytesIO(content), attempt_recovery=False) as pdf:
            return [*pdf.check_pdf_syntax(), *(str(one) for one in pdf.get_warnings())]
    except pikepdf.PdfError as fault:
        return [str(fault)]


def is_whole(content: bytes) -> bool:
    """Raises AssertionError with what is wrong."""
    found = faults(content)
    assert not found, found
    return True
