"""Whatever lies in the drop folder, it is published or refused with a reason, and never stands in another's way."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.dicom.client import parts
from hie_node import drop_folder, publishing
from hie_node.drop_folder import DropFolder
from hie_node.house import House
from hie_node.publishing import Published, publish_paths
from registry.feeds import FeedSearch
from tests.house.hospital import OID
from tests.house.test_hl7v2 import sample
from tests.house.test_insurance import VISIT
from tests.lab import Hospital, Lab
from tests.papers import LAN, CtStudy, ct_report

CANARY = "Nguyen Van Chim"


def looks(node: Hospital) -> Path:
    """Two looks, between which nothing has grown."""
    folder = DropFolder(node.house)
    folder.look()
    folder.look()
    return node.house.settings.drop


def reason(drop: Path, name: str) -> str:
    return (drop / "refused" / f"{name}.reason.txt").read_text("utf-8")


def put_report(drop: Path) -> None:
    document, note = ct_report(LAN).files("bac-ninh")
    (drop / "zz.txt").write_bytes(document)
    (drop / "zz.json").write_bytes(note)


def test_pipes_links_and_strange_names_are_refused_and_the_report_behind_them_is_published(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    drop = node.house.settings.drop
    secret = node.house.settings.keys / "key-encryption.key"
    os.mkfifo(drop / "a-pipe.dcm")
    (drop / "b-link.pdf").symlink_to(secret)
    (drop / "c-lost").symlink_to(drop / "nowhere")
    (drop / "d-folder").mkdir()
    (drop / "d-folder" / "inner.pdf").symlink_to(secret)
    os.mkfifo(drop / "d-folder" / "inner.dcm")
    (drop / "e\nf.xml").write_bytes(b"<GIAMDINHHS/>")
    (drop / ("n" * 240 + ".xml")).write_bytes(b"")
    put_report(drop)
    looks(node)
    assert len(node.holds()) == 1
    assert sorted(path.name for path in drop.iterdir()) == ["done", "refused", "rejected"]
    assert "put the file itself here" in reason(drop, "a-pipe.dcm") + reason(drop, "b-link.pdf")
    assert reason(drop, "d-folder").count("put the file itself here") == 2
    assert len(reason(drop, "e\nf.xml").splitlines()) == 1


def test_a_fault_of_ours_with_one_file_refuses_that_one_only(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    node = lab.hospital("bac-ninh")
    drop = node.house.settings.drop
    (drop / "aa.xml").write_bytes(b"<GIAMDINHHS/>")
    put_report(drop)
    monkeypatch.setattr(publishing, "_insurance_file", lambda *_: {}["no such thing"])
    looks(node)
    assert len(node.holds()) == 1
    assert "reference" in reason(drop, "aa.xml") and "no such thing" not in reason(drop, "aa.xml")


@pytest.mark.parametrize("content", [b"<GIAMDINHHS/>", b"nothing that anybody knows"])
def test_a_file_that_its_sender_takes_away_while_it_is_read_stands_in_nobodys_way(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    node = lab.hospital("bac-ninh")
    drop = node.house.settings.drop
    (drop / "aa.xml").write_bytes(content)
    put_report(drop)

    def publishes(house: House, paths: list[Path], *, who: str) -> list[Published]:
        done = list(publish_paths(house, paths, who=who))
        (drop / "aa.xml").unlink(missing_ok=True)
        return done

    monkeypatch.setattr(drop_folder, "publish_paths", publishes)
    looks(node)
    assert len(node.holds()) == 1
    assert reason(drop, "aa.xml") and not (drop / "refused" / "aa.xml").exists()


def test_a_refused_file_explains_itself_without_its_patient(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    drop = node.house.settings.drop
    (drop / "half.xml").write_text(f"<GIAMDINHHS><HO_TEN>{CANARY}", "utf-8")
    (drop / "other.pdf").write_bytes(b"%PDF-1.4")
    (drop / "other.json").write_text(f'{{"patient": {{"name": "{CANARY}"}}}}', "utf-8")
    looks(node)
    for name in ("half.xml", "other.pdf"):
        assert reason(drop, name) and CANARY not in reason(drop, name)


@pytest.mark.parametrize("cut", ["<LOAIHOSO>XML13", "</GIAMDINHHS>"], ids=["in the middle", "after its last visit"])
def test_a_file_whose_sender_pauses_is_read_again_when_it_is_whole(lab: Lab, cut: str) -> None:
    node = lab.hospital("bac-ninh")
    folder, drop = DropFolder(node.house), node.house.settings.drop
    start, rest = VISIT[: VISIT.index(cut)], VISIT[VISIT.index(cut) :]
    with (drop / "thang11.xml").open("w", encoding="utf-8") as slow:
        slow.write(start)
        slow.flush()
        for _ in range(3):
            folder.look()
        assert "cut, or is still being written" in reason(drop, "thang11.xml")
        slow.write(rest)
    for _ in range(3):
        folder.look()
    assert (drop / "done" / "thang11.xml").read_text("utf-8") == VISIT
    assert list((drop / "refused").iterdir()) == [] and list(node.house.settings.drop.glob("*.xml")) == []
    assert len(node.holds()) == 5


def test_messages_that_come_after_the_pause_of_their_sender_are_read(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    folder, drop = DropFolder(node.house), node.house.settings.drop
    here = {OID: node.house.settings.patient_id_system.removeprefix("urn:oid:")}
    (drop / "m.hl7").write_bytes(sample("adt_a04", **here))
    for _ in range(2):
        folder.look()
    with (drop / "done" / "m.hl7").open("ab") as slow:
        slow.write(sample("adt_a08", **here))
    for _ in range(3):
        folder.look()
    with node.house.storage.read() as unit:
        became = sorted(one.outcome for one in unit.feeds.find(FeedSearch("hl7v2")))
    assert became == ["stored", "stored", "unchanged"], "the first message is only acknowledged again"
    assert (drop / "done" / "m.hl7").exists()


def test_huge_files_are_refused_in_their_own_words(lab: Lab, tmp_path: Path) -> None:
    """What has to be read whole is refused by its size; an insurance file streams, and is refused where it breaks."""
    node, folder = lab.hospital("bac-ninh"), tmp_path / "huge"
    folder.mkdir()
    for name, start in (("a.pdf", b"%PDF-1.4"), ("b.xml", b"<GIAMDINHHS>")):
        with (folder / name).open("wb") as file:
            file.write(start)
            file.truncate(200 << 20)
    (folder / "a.json").write_text("{}")
    refused = list(publish_paths(node.house, [folder], who="his"))
    assert [one.outcome for one in refused] == ["refused"] * 2
    assert "larger than" in refused[0].reason and "line 1" in refused[1].reason


def test_two_halves_of_a_study_at_once_are_one_whole_study(lab: Lab) -> None:
    """An acknowledged image is never lost, whoever else is storing."""
    node = lab.hospital("bac-ninh")
    node.registers(LAN)
    for round_ in range(4):
        study = CtStudy(LAN, uid=f"1.2.826.0.1.3680043.10.99.{round_}", count=24)
        slices = study.slices("bac-ninh")
        parts = [{f"{n}.dcm": content for n, content in enumerate(slices) if n % 4 == part} for part in range(4)]
        with ThreadPoolExecutor(4) as pool:
            for published in pool.map(node.publishes_files, parts):
                assert [(one.outcome, one.reason) for one in published] == [("stored", "")]
        with node.house.storage.read() as unit:
            kept = unit.studies.by_uid(study.uid)
        assert kept is not None and kept.instance_count == 24


def test_the_same_report_twice_at_once_is_one_report(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    document, note = ct_report(LAN).files("bac-ninh")
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(node.publishes_files, [{"r.txt": document, "r.json": note}] * 4))
    assert [one.reason for (one,) in outcomes] == [""] * 4
    assert sorted(one.outcome for (one,) in outcomes) == ["stored", "unchanged", "unchanged", "unchanged"]
    assert len(node.holds()) == 1


def test_old_devices_files_without_a_head_are_published_and_go_out_as_whole_files(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    bac_ninh.registers(LAN)
    study = CtStudy(LAN)
    whole = study.slices("bac-ninh")
    files = {"IM000001": whole[0][128:], "IM000002": whole[1][132:], "scan.dcm": whole[2]}
    (done,) = bac_ninh.publishes_files(files)
    assert (done.outcome, done.instances, done.reason) == ("stored", 3, "")
    (again,) = bac_ninh.publishes_files({f"{n}.dcm": one for n, one in enumerate(whole)})
    assert again.outcome == "unchanged", "the same objects, whoever wrote their heads"
    with bac_ninh.house.storage.read() as unit:
        known = unit.studies.by_uid(study.uid)
    assert known is not None
    got = bac_ninh.fetches(known, base="")
    sent = [b"".join(part.chunks) for part in parts(got.content_type, iter([got.body]))]
    assert [one[132:] for one in sent] == [one[132:] for one in whole] and {one[128:132] for one in sent} == {b"DICM"}


def test_what_only_looks_like_an_image_is_refused_and_nothing_of_it_is_kept(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    body = CtStudy(LAN).slices("bac-ninh")[0][132:]
    (done,) = bac_ninh.publishes_files(
        {"IM000001": body[:-9], "IM000002": b"\x08\x00\x05\x00CS\x02\x00ab" + bytes(400)}
    )
    assert (done.outcome, done.instances) == ("refused", 0)
    assert bac_ninh.finds_own_studies(LAN).found == []


def nested(drop: Path, name: str, depth: int) -> None:
    """Folders within folders below a name, deeper than a path can say."""
    (drop / "nested").mkdir()
    at = os.open(drop / "nested", os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)


@pytest.mark.parametrize(("name", "depth"), [("a", 1500), ("a" * 250, 20)], ids=["deep", "long"])
def test_folders_that_nobody_can_walk_stand_in_nobodys_way(lab: Lab, name: str, depth: int) -> None:
    node = lab.hospital("bac-ninh")
    drop = node.house.settings.drop
    nested(drop, name, depth)
    put_report(drop)
    looks(node)
    assert len(node.holds()) == 1
    assert "nested deeper" in reason(drop, "nested") or "too long" in reason(drop, "nested")
    os.system(f"rm -rf {drop / 'refused' / 'nested'}")


def test_a_folder_waits_while_a_name_in_it_says_that_it_is_written(lab: Lab) -> None:
    node = lab.hospital("bac-ninh")
    drop = node.house.settings.drop
    (drop / "thang11").mkdir()
    for name in (".DS_Store", ".BN1.pdf.x7Gh", "BN2.pdf.part"):
        (drop / "thang11" / name).write_bytes(b"%PDF-1.4")
    looks(node)
    assert (drop / "thang11").exists()
    for one in (drop / "thang11").iterdir():
        os.utime(one, (0, 0))  # whoever wrote it has given up
    looks(node)
    said = reason(drop, "thang11")
    assert said.count("not finished") == 2 and ".DS_Store" not in said


@pytest.mark.parametrize("begins", [b"PK\x03\x04", b"\x1f\x8b\x08"], ids=["zip", "gzip"])
def test_a_packed_file_is_told_to_be_unpacked(lab: Lab, begins: bytes) -> None:
    node = lab.hospital("bac-ninh")
    drop = node.house.settings.drop
    (drop / "thang11.xml").write_bytes(begins + b"\0" * 100)
    looks(node)
    assert "put the files themselves" in reason(drop, "thang11.xml")
