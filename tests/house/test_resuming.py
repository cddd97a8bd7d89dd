"""A line that breaks in the middle of a study: what has arrived is not sent again, and what is missing is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hie_node.acts import Caller
from hie_node.fetching import fetch_to
from registry.errors import NotFound
from tests.lab import Hospital, Lab
from tests.papers import LAN, CtStudy, WrittenRequest, sha256s
from tests.stand_in_edge import Wsgi, flowing

STUDY = CtStudy(LAN, count=6, size=600_000)


class CutLine:
    """A line that breaks after so many bytes of images, once for each number; `sent` counts all that passed."""

    def __init__(self, application: Wsgi, *breaks: int) -> None:
        self._application, self._breaks = application, list(breaks)
        self.sent = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answer = self._application(environ, start_response)
        path = environ["PATH_INFO"]
        if "/dicomweb/studies/" not in path or path.endswith("/metadata"):
            return answer
        return self._cut(answer)

    def _cut(self, answer: Iterable[bytes]) -> Iterator[bytes]:
        left = self._breaks.pop(0) if self._breaks else None
        with closing(flowing(answer)) as pieces:
            for piece in pieces:
                if left is not None and len(piece) > left:
                    raise ConnectionError
                left = None if left is None else left - len(piece)
                self.sent += len(piece)
                yield piece


@pytest.fixture
def opened(lab: Lab) -> tuple[Hospital, Hospital]:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.registers(LAN)
    bac_ninh.publishes_study(STUDY)
    bach_mai.registers(LAN)
    return bac_ninh, bach_mai


def fetched(hospital: Hospital, folder: Path) -> int:
    return fetch_to(hospital.house, Caller(hospital.requester(), "house"), STUDY.uid, folder).breaks


def lists(hospital: Hospital) -> None:
    assert hospital.finds_studies(LAN).found


def test_a_cut_line_resumes_image_by_image(opened: tuple[Hospital, Hospital], tmp_path: Path) -> None:
    bac_ninh, bach_mai = opened
    bach_mai.records(WrittenRequest(LAN, to="bach-mai"))
    lists(bach_mai)
    assert bac_ninh.door.application is not None
    line = CutLine(bac_ninh.door.application, 2_000_000, 300_000)
    bac_ninh.door.application = line
    assert fetched(bach_mai, tmp_path) == 2
    arrived = [file.read_bytes() for file in tmp_path.glob("*.dcm")]
    assert sha256s(arrived) == sha256s(STUDY.slices("bac-ninh"))
    size = sum(map(len, arrived))
    assert line.sent - size < 2 * size // STUDY.count, "of each break at most what had arrived of one image"
    before = line.sent
    assert fetched(bach_mai, tmp_path) == 0 and line.sent == before
    assert list(tmp_path.glob("*.part")) == []


def test_a_withdrawal_ends_it(opened: tuple[Hospital, Hospital], tmp_path: Path) -> None:
    bac_ninh, bach_mai = opened
    consent = bach_mai.records(WrittenRequest(LAN, to="bach-mai"))
    lists(bach_mai)
    assert bac_ninh.door.application is not None
    (tmp_path / "1.2.3.dcm").write_bytes(b"begun")
    bach_mai.withdraws(consent)
    with pytest.raises(NotFound):
        fetched(bach_mai, tmp_path)
