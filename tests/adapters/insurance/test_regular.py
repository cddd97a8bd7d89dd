"""What the quick reader of tables takes, the parser reads to the same rows; what that refuses, it never takes."""

from __future__ import annotations

import random

import pytest

from adapters.insurance.regular import MAX_COLUMNS, MOST_ORDERS, MOST_TAGS, read_regular
from adapters.insurance.rows import Deviations, read_rows
from adapters.xml_door import XmlRefused, parse_table, parse_xml_bytes

WRAPPED = "<CHITIEU_CHITIET_THUOC><DSACH_CHI_TIET_THUOC>{rows}</DSACH_CHI_TIET_THUOC></CHITIEU_CHITIET_THUOC>"
ROW = (
    "<CHI_TIET_THUOC><MA_LK>LK1</MA_LK><STT>1</STT><TEN_THUOC>Amlodipin 5mg</TEN_THUOC>"
    "<LIEU_DUNG> 1 viên x 2 lần/ngày </LIEU_DUNG><DON_VI_TINH/><SO_LUONG>mười</SO_LUONG></CHI_TIET_THUOC>"
)
OTHER = "<CHI_TIET_THUOC><STT>2</STT><MA_LK>LK1</MA_LK><TEN_THUOC>Thuốc khác</TEN_THUOC></CHI_TIET_THUOC>"
SHORT = "<CHI_TIET_THUOC><STT>3</STT><SO_LUONG></SO_LUONG></CHI_TIET_THUOC>"
DECLARED = '<?xml version="1.0" encoding="utf-8"?>\n'
TABLE = WRAPPED.format(rows=ROW * 2)
READ = {
    "rows": TABLE,
    "declared": DECLARED + TABLE,
    "spaced": TABLE.replace("><", ">\n\t <"),
    "ends of lines": TABLE.replace("><", ">\r\n<").replace("1 viên", "1\r\nviên\rx"),
    "fewer columns": WRAPPED.format(rows=ROW + SHORT + ROW),
    "another order": WRAPPED.format(rows=ROW + OTHER + ROW + SHORT),
    "small letters": TABLE.lower(),
    "a row without columns": WRAPPED.format(rows=ROW + "<CHI_TIET_THUOC></CHI_TIET_THUOC>"),
    "rows of a list": f"<DSACH_CHI_TIET_THUOC>{ROW}</DSACH_CHI_TIET_THUOC>",
    "one row": ROW,
}
LEFT_TO_THE_PARSER = {
    "an attribute": TABLE.replace("<STT>", '<STT a="b">', 1),
    "a comment": TABLE.replace("<STT>", "<!-- --><STT>", 1),
    "a section": TABLE.replace("Amlodipin", "<![CDATA[Amlodipin]]>", 1),
    "a reference": TABLE.replace("Amlodipin", "Amlodipin &amp; K", 1),
    "a greater-than sign": TABLE.replace("Amlodipin", "A > B", 1),
    "text between columns": TABLE.replace("<STT>", "x<STT>", 1),
    "a namespace": TABLE.replace("<CHITIEU_CHITIET_THUOC>", '<CHITIEU_CHITIET_THUOC xmlns="urn:x">', 1),
    "a list within a row": WRAPPED.format(rows=f"<CHI_TIET_THUOC><STT>1</STT>{ROW}</CHI_TIET_THUOC>"),
    "an empty row": WRAPPED.format(rows=ROW + "<CHI_TIET_THUOC/>"),
    "a processing instruction": TABLE + "<?x y?>",
    "too many columns": f"<TONG_HOP>{''.join(f'<C{n}/>' for n in range(MAX_COLUMNS + 1))}</TONG_HOP>",
}
REFUSED = {
    "broken off": TABLE[:-30],
    "another end": TABLE.replace("</STT>", "</STL>", 1),
    "more behind it": TABLE + "x",
    "two roots": TABLE + TABLE,
    "the end of a section": TABLE.replace("Amlodipin", "a]]>b", 1),
    "a control character": TABLE.replace("Amlodipin", "a\x0bb", 1),
    "no character": TABLE.replace("Amlodipin", "a\uffffb", 1),
    "a declaration inside": WRAPPED.format(rows=DECLARED + ROW),
    "a blank before the declaration": " " + DECLARED + TABLE,
    "a DOCTYPE": '<!DOCTYPE x [<!ENTITY a "b">]>' + TABLE,
    "a name of digits": TABLE.replace("STT>", "1>"),
}


def rows(root: object, table: str = "XML2") -> tuple[list[object], tuple[str, ...]]:
    strange = Deviations()
    return list(read_rows(root, table, strange, max_depth=64)), strange.texts()


def parsed(text: str) -> object:
    return parse_table(text.encode(), max_bytes=1 << 20, max_depth=64)


@pytest.mark.parametrize("what", READ)
def test_reads_what_the_parser_reads(what: str) -> None:
    regular = read_regular(READ[what].encode())
    assert regular is not None
    assert rows(regular) == rows(parsed(READ[what]))
    assert rows(regular)[0]


@pytest.mark.parametrize("what", LEFT_TO_THE_PARSER)
def test_leaves_every_other_form_to_the_parser(what: str) -> None:
    assert read_regular(LEFT_TO_THE_PARSER[what].encode()) is None
    rows(parsed(LEFT_TO_THE_PARSER[what]))


@pytest.mark.parametrize("what", REFUSED)
def test_takes_nothing_that_the_parser_refuses(what: str) -> None:
    assert read_regular(REFUSED[what].encode()) is None
    with pytest.raises(XmlRefused):
        parsed(REFUSED[what])


@pytest.mark.parametrize(
    ("written", "instead"),
    [("STT>", "LA_GI>"), ("<STT>1</STT>", "<STT>1</STT><STT>2</STT>"), ("CHI_TIET_THUOC>", "SO_LUONG>"), (ROW, "")],
    ids=["a column of no table", "a column twice", "a column as a wrapper", "an empty list"],
)
def test_a_form_that_is_not_the_table_s_is_read_by_the_parser_with_its_remarks(written: str, instead: str) -> None:
    text = TABLE.replace(written, instead)
    regular = read_regular(text.encode())
    assert regular is not None
    assert rows(regular) == rows(parsed(text))


def test_a_table_that_nobody_knows_is_read_alike() -> None:
    regular = read_regular(TABLE.encode())
    assert rows(regular, "XML99") == rows(parsed(TABLE), "XML99")


def test_learns_a_few_orders_of_columns_and_leaves_a_table_with_more_to_the_parser() -> None:
    columns = ("MA_LK", "STT", "TEN_THUOC", "DON_VI_TINH", "SO_LUONG", "LIEU_DUNG")

    def row(first: int) -> str:
        turned = columns[first:] + columns[:first]
        return f"<CHI_TIET_THUOC>{''.join(f'<{each}>1</{each}>' for each in turned)}</CHI_TIET_THUOC>"

    few, many = ("".join(map(row, range(count))) for count in (MOST_ORDERS, MOST_ORDERS + 2))
    assert read_regular(WRAPPED.format(rows=few).encode()) is not None
    assert read_regular(WRAPPED.format(rows=many).encode()) is None


def test_a_table_of_more_elements_than_the_parser_reads_is_not_taken() -> None:
    flood = WRAPPED.format(rows="<CHI_TIET_THUOC><STT>1</STT></CHI_TIET_THUOC>" * (MOST_TAGS // 4 + 1))
    assert read_regular(flood.encode()) is None


def test_whatever_is_changed_in_it_nothing_is_read_otherwise() -> None:
    """Bytes left out, doubled, swapped and put in, at four thousand places."""
    chance = random.Random(7)
    whole = READ["another order"].encode() + b"\n"
    pieces = (b"<", b">", b"/", b"&", b" ", b"\r", b"]]>", b"<STT>", b"</STT>", b"<!--", b"x", b"\xef\xbf\xbe", b"'")
    taken = 0
    for _ in range(4000):
        at = chance.randrange(len(whole))
        until = at + chance.randrange(4)
        text = whole[:at] + chance.choice((b"", whole[at:until] * 2, chance.choice(pieces))) + whole[until:]
        try:
            regular = read_regular(text)
        except UnicodeDecodeError:
            continue
        if regular is not None:
            taken += 1
            parse_xml_bytes(text)
            assert rows(regular) == rows(parse_table(text, max_bytes=1 << 20, max_depth=64))
    assert taken > 400
