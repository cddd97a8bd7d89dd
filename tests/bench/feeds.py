"""e: insurance files and a pipelined HL7 v2 feed, each in one process, against what that process could do bare."""

from __future__ import annotations

import logging
import random
import resource
import subprocess
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

from lxml import etree

from adapters.insurance.tables import tables
from hie_node import insurance, log
from hie_node.hl7v2 import handle_together
from hie_node.mllp import TOGETHER
from hie_node.publishing import publisher
from tests.bench import ground
from tests.bench.rows import Row
from tests.house.hospital import make_house, written

ROWS = "e1 e2 e3"
PIECE = 1 << 16
SURNAMES = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Vũ", "Đặng", "Bùi")
HEAD = (
    "<GIAMDINHHS><THONGTINDONVI><MACSKCB>27001</MACSKCB></THONGTINDONVI><THONGTINHOSO><NGAYLAP>20261103</NGAYLAP>"
    "<SOLUONGHOSO>{count}</SOLUONGHOSO><DANHSACHHOSO>"
)
NOTE = "Bệnh nhân tỉnh, tiếp xúc tốt, huyết áp 130/80 mmHg, mạch 78 lần/phút, không sốt, ăn uống được. " * 6
KEYS = ("MA_LK", "STT")
FILLED = {"n": "0", "t": "202611020800", "d": "20261102"}
FOOT = "</DANHSACHHOSO></THONGTINHOSO><CHUKYDONVI/></GIAMDINHHS>"


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    log.configure(level=logging.CRITICAL)
    if "e1" in wanted:
        yield _visits(60 if quick else 1_000)
    if "e2" in wanted:
        yield _memory(200 if quick else 10_000)
    if "e3" in wanted:
        yield _messages(200 if quick else 2_000)


def _visits(count: int) -> Row:
    body = b"".join(insurance_file(count))
    bare = count / _cpu(lambda: _parse(body))
    with tempfile.TemporaryDirectory() as folder:
        house = make_house(Path(folder))
        own = _cpu(lambda: insurance.publish_file(house, _pieces(body), publisher(house, "bench")))
        house.storage.close()
    what = f"{count:,} visits of {len(body) / count / 1024:.0f} KB: read, linked, published, durable"
    return Row("e1", what, count / own, "visits/s of CPU", "lxml parse", bare, 0.1, 0.35)


def _parse(body: bytes) -> None:
    """The envelope and every table in it: the least that any reader has to do."""
    parser = etree.XMLPullParser(events=("end",), tag="HOSO", huge_tree=True)
    for piece in _pieces(body):
        parser.feed(piece)
        for _, element in parser.read_events():
            for content in element.iter("NOIDUNGFILE"):
                etree.fromstring(b64decode(content.text))
            element.clear()


def _pieces(body: bytes) -> Iterator[bytes]:
    return (body[start : start + PIECE] for start in range(0, len(body), PIECE))


def _cpu(work: Callable[[], object]) -> float:
    """Seconds of the processor: on a shared machine the clock on the wall says less."""
    started = time.process_time()
    work()
    return time.process_time() - started


def _memory(count: int) -> Row:
    """In a process of its own, since what it needed at most is all that the system tells."""
    sizes = [_peak_of(number) for number in (1, count)]
    grown = (sizes[1] - sizes[0]) / 1024
    what = f"memory of a file of {count:,} visits beyond a file of one"
    return Row("e2", what, grown, "MB", "one visit", sizes[0] / 1024, 100, 20, "less", ratio=grown)


def _peak_of(count: int) -> int:
    call = [sys.executable, "-m", "tests.bench.feeds", str(count)]
    return int(subprocess.run(call, check=True, capture_output=True, text=True).stdout)


def _messages(count: int) -> Row:
    """Admissions of new patients, as a pipelining sender brings them."""
    sent = [_admission(n) for n in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        bare = ground.sqlite_documents(Path(folder), a_commit=1)
        house = make_house(Path(folder))
        started = time.monotonic()
        for start in range(0, count, TOGETHER):
            for one in handle_together(house, sent[start : start + TOGETHER]):
                assert one.verdict.code == "AA"
        seconds = time.monotonic() - started
        house.storage.close()
    what = f"{count:,} HL7 v2 admissions, pipelined, each durable when acknowledged"
    return Row("e3", what, count / seconds, "messages/s", "SQLite FULL, one row a commit", bare, 0.1, 0.5)


def _admission(n: int) -> bytes:
    chance = random.Random(n)
    return written(
        f"MSH|^~\\&|HIS|BV_BN|HIE|HIE|20261102080000||ADT^A01^ADT_A01|{n}|P|2.5|||||||UNICODE UTF-8\n"
        f"EVN|A01|20261102080000\n"
        f"PID|1||BN{n:06}^^^OWN^MR||{chance.choice(SURNAMES)}^Thị {_letters(n)}||{_born(n)}|F\n"
        f"PV1|1|I|||||||||||||||||V{n}|||||||||||||||||||||||||202611020800"
    )


# ---- an insurance file of invented people ----


def insurance_file(count: int) -> Iterator[bytes]:
    """Visits as a provincial hospital writes them, tables as base64: five tables, 34 rows, fifty kilobytes, like those
    of which the goal for e1 was measured."""
    yield HEAD.format(count=count).encode()
    for n in range(count):
        yield _dossier(n)
    yield FOOT.encode()


def _dossier(n: int) -> bytes:
    chance = random.Random(n)
    tables = {
        "XML1": f"<TONG_HOP>{_rest('XML1', _person(n, chance))}</TONG_HOP>",
        "XML2": _rows("CHITIEU_CHITIET_THUOC", "DSACH_CHI_TIET_THUOC", "CHI_TIET_THUOC", n, 10, _medicine),
        "XML3": _rows("CHITIEU_CHITIET_DVKT_VTYT", "DSACH_CHI_TIET_DVKT", "CHI_TIET_DVKT", n, 12, _service),
        "XML4": _rows("CHITIEU_CHITIET_DICHVUCANLAMSANG", "DSACH_CHI_TIET_CLS", "CHI_TIET_CLS", n, 8, _result),
        "XML5": _rows(
            "CHITIEU_CHITIET_DIENBIENLAMSANG", "DSACH_CHI_TIET_DIEN_BIEN_BENH", "CHI_TIET_DIEN_BIEN_BENH", n, 3, _course
        ),
    }
    files = "".join(
        f"<FILEHOSO><LOAIHOSO>{name}</LOAIHOSO>"
        f"<NOIDUNGFILE>{b64encode(table.encode()).decode()}</NOIDUNGFILE></FILEHOSO>"
        for name, table in tables.items()
    )
    return f"<HOSO>{files}</HOSO>".encode()


def _person(n: int, chance: random.Random) -> str:
    return (
        f"<MA_LK>LK{n}</MA_LK><STT>1</STT><MA_BN>BN{n:06}</MA_BN>"
        f"<HO_TEN>{chance.choice(SURNAMES)} Thị {_letters(n)}</HO_TEN><NGAY_SINH>{_born(n)}0000</NGAY_SINH>"
        "<GIOI_TINH>2</GIOI_TINH><DIA_CHI>số 1 đường Mẫu</DIA_CHI><MATINH_CU_TRU>24</MATINH_CU_TRU>"
        "<CHAN_DOAN_RV>Tăng huyết áp</CHAN_DOAN_RV><MA_BENH_CHINH>I10</MA_BENH_CHINH><NGAY_VAO>202611020740</NGAY_VAO>"
        "<NGAY_RA>202611021530</NGAY_RA><MA_CSKCB>27001</MA_CSKCB>"
    )


def _rows(root: str, inner: str, record: str, n: int, count: int, row: Callable[[int], str]) -> str:
    body = "".join(f"<{record}><MA_LK>LK{n}</MA_LK><STT>{k}</STT>{row(k)}</{record}>" for k in range(1, count + 1))
    return f"<{root}><{inner}>{body}</{inner}></{root}>"


def _medicine(k: int) -> str:
    return _rest("XML2", f"<TEN_THUOC>Amlodipin {k}mg</TEN_THUOC><LIEU_DUNG>1 viên x 2 lần/ngày</LIEU_DUNG>")


def _service(k: int) -> str:
    code = f"<MA_DICH_VU>23.{k:04}.1494</MA_DICH_VU><TEN_DICH_VU>Định lượng chất thứ {k}</TEN_DICH_VU>"
    return _rest("XML3", f"{code}<NGAY_TH_YL>202611020800</NGAY_TH_YL>")


def _result(k: int) -> str:
    name = f"<MA_DICH_VU>23.{k:04}.1494</MA_DICH_VU><TEN_CHI_SO>Chất thứ {k}</TEN_CHI_SO>"
    value = f"<GIA_TRI>{k}.5</GIA_TRI><DON_VI_DO>mmol/L</DON_VI_DO><NGAY_KQ>202611020900</NGAY_KQ>"
    return _rest("XML4", f"{name}{value}")


def _course(k: int) -> str:
    noted = f"<DIEN_BIEN_LS>{NOTE}</DIEN_BIEN_LS><THOI_DIEM_DBLS>20261102{k + 8:02}00</THOI_DIEM_DBLS>"
    return _rest("XML5", noted)


def _rest(table: str, written_: str) -> str:
    """The row with all other columns of its table: exporters write them all, and fill numbers and times."""
    columns = [
        one for one in tables()[table].columns.values() if f"<{one.name}>" not in written_ and one.name not in KEYS
    ]
    return written_ + "".join(f"<{one.name}>{FILLED.get(one.kind, '')}</{one.name}>" for one in columns)


def _born(n: int) -> str:
    return f"{1930 + n % 80}{1 + n % 12:02}{1 + n % 28:02}"


def _letters(n: int) -> str:
    return "".join(chr(97 + n // 26**place % 26) for place in range(4)).capitalize()


def _one_process(count: int) -> None:
    """Publishes a file that is never in memory as a whole, and prints its own peak in KiB."""
    log.configure(level=logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        house = make_house(Path(folder))
        done = insurance.publish_file(house, insurance_file(count), publisher(house, "bench"))
        assert done.outcome == "stored", done.refused[:3]
    sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


if __name__ == "__main__":
    _one_process(int(sys.argv[1]))
