"""What becomes of an insurance file in the house: corrections, partial files, files that break off."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from hie_node import feeds
from hie_node.publishing import Published, publish_paths
from registry.documents import DocumentStatus
from tests.house.hospital import Hospital, make_house

VISIT = (Path(__file__).parents[1] / "samples" / "insurance" / "visit.xml").read_text("utf-8")
HOSO = re.search("<HOSO>.*</HOSO>", VISIT, re.DOTALL)
assert HOSO is not None
NUMBER = "BN0001"


def dropped(hospital: Hospital, folder: Path, body: str, name: str = "visit.xml") -> Published:
    file = folder / name
    file.write_bytes(body.encode())
    (result,) = publish_paths(hospital.house, [file], who="drop-folder")
    return result


def titles(hospital: Hospital) -> list[str]:
    return sorted(str(entry.attachment.title) for entry in hospital.documents(NUMBER))


def test_the_same_visit_again_changes_nothing(hospital: Hospital, tmp_path: Path) -> None:
    assert dropped(hospital, tmp_path, VISIT).outcome == "stored"
    before = titles(hospital)
    assert dropped(hospital, tmp_path, VISIT, "again.xml").outcome == "unchanged"
    assert titles(hospital) == before


def test_a_correction_replaces_what_it_corrects(hospital: Hospital, tmp_path: Path) -> None:
    dropped(hospital, tmp_path, VISIT)
    assert dropped(hospital, tmp_path, VISIT.replace("bên phải.", "bên trái.")).outcome == "replaced"
    (report,) = [one for one in hospital.documents(NUMBER) if "CLVT" in str(one.attachment.title)]
    assert "bên trái." in hospital.text(report)
    every = hospital.documents(NUMBER, only_current=False)
    assert sum(one.status is DocumentStatus.SUPERSEDED for one in every) == 2  # the report, and the visit as data


def test_a_result_that_is_taken_out_of_the_visit_is_taken_back(hospital: Hospital, tmp_path: Path) -> None:
    dropped(hospital, tmp_path, VISIT)
    row = re.findall("<CHI_TIET_CLS>.*?</CHI_TIET_CLS>", VISIT, re.DOTALL)[0]
    dropped(hospital, tmp_path, VISIT.replace(row, ""))
    assert not [title for title in titles(hospital) if "CLVT" in title]
    assert "Kết quả cận lâm sàng" in titles(hospital)


def test_a_file_with_fewer_tables_does_not_empty_the_visit(hospital: Hospital, tmp_path: Path) -> None:
    dropped(hospital, tmp_path, VISIT)
    before = titles(hospital)
    without = re.sub(r"<FILEHOSO><LOAIHOSO>XML[234]<.*?</FILEHOSO>", "", VISIT, flags=re.DOTALL)
    result = dropped(hospital, tmp_path, without)
    assert titles(hospital) == before
    assert any("its summary stays as it was" in line for line in result.warnings)
    record = hospital.record(NUMBER)
    assert record is not None
    with hospital.house.storage.read() as unit:
        (visit,) = unit.documents.visits_of(record.id)
    assert [one.name for one in visit.medications] == ["Amlodipin 5mg"]


def test_a_file_that_breaks_off_keeps_the_visits_before_and_says_so(hospital: Hospital, tmp_path: Path) -> None:
    second = HOSO[0].replace("LK-1", "LK-2").replace(NUMBER, "BN0002").replace("999164000011", "")
    whole = VISIT.replace(HOSO[0], HOSO[0] + second.replace("GD4279999900001;DN4279999900001", ""))
    result = dropped(hospital, tmp_path, whole.split("<LOAIHOSO>XML13")[0] + "<LOAIHOSO>")
    assert result.outcome == "refused" and "ends before its last tag" in result.reason
    assert hospital.documents(NUMBER) == [] and "nothing was stored" in result.reason
    result = dropped(hospital, tmp_path, whole[: whole.index("BN0002")])
    assert result.outcome == "refused" and hospital.documents(NUMBER) != []
    assert "what came before that place was read" in result.reason and "nothing was stored" not in result.reason
    assert dropped(hospital, tmp_path, whole).outcome == "stored"
    assert hospital.documents("BN0002") != []


def test_one_bad_dossier_among_many_costs_only_itself(hospital: Hospital, tmp_path: Path) -> None:
    each = [
        HOSO[0]
        .replace("LK-1", f"LK-{number}")
        .replace(NUMBER, f"BN{number:04}")
        .replace("999164000011", "")
        .replace("GD4279999900001;DN4279999900001", "")
        for number in range(1, 31)
    ]
    each[7] = each[7].replace("<MA_LK>LK-8</MA_LK><STT>1</STT><MA_DICH_VU>02", "<MA_LK>LK-7</MA_LK><MA_DICH_VU>02")
    result = dropped(hospital, tmp_path, VISIT.replace(HOSO[0], "".join(each)))
    assert result.reason.startswith("dossier 8: ") and "dossier 9" not in result.reason
    assert hospital.documents("BN0008") == []
    assert all(hospital.documents(f"BN{number:04}") for number in range(1, 31) if number != 8)


def test_a_result_of_next_year_is_not_the_newest_and_its_sender_is_told_of(tmp_path: Path, database_url: str) -> None:
    house = make_house(tmp_path, database_url="" if database_url.startswith("sqlite") else database_url)
    hospital, now = Hospital(house), house.now()
    dropped(hospital, tmp_path, VISIT)
    ahead = VISIT.replace("LK-1", "LK-2").replace("202611020845", f"{now.year + 1}11020845")
    assert dropped(hospital, tmp_path, ahead.replace("202611020930", f"{now.year + 1}11020930"), "2.xml").documents
    assert all(one.performed is None or one.performed <= now for one in hospital.documents(NUMBER, only_current=False))
    (sender,) = feeds.senders(house, since=now - timedelta(hours=1))
    assert sender.deviations["XML3: NGAY_TH_YL lies after the day the file came; not used as a time"] == 1
    assert sender.deviations["XML4: NGAY_KQ lies after the day the file came; not used as a time"] == 1
    house.storage.close()
