"""Hostile XML stops at the door, early, and the error does not repeat what stood there."""

from __future__ import annotations

import unicodedata

import pytest

from adapters.xml_door import (
    DoctypeRefused,
    EncodingRefused,
    XmlMalformed,
    XmlRefused,
    XmlTooDeep,
    XmlTooLarge,
    XmlTooManyAttributes,
    parse_xml_bytes,
)

BOMB = b"""<?xml version="1.0"?>
<!-- a comment does not hide it -->
<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>
<a>&c;</a>"""
THIEF = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (BOMB, DoctypeRefused),
        (THIEF, DoctypeRefused),
        (THIEF.decode().encode("utf-16"), DoctypeRefused),
        (b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>', DoctypeRefused),
        (b"<a>&x;</a>", XmlMalformed),
        (b"<a><b></a>", XmlMalformed),
        (b"<a/>and more", XmlMalformed),
        (b"<a>\x00</a>", XmlMalformed),
        (b"<a>&#0;</a>", XmlMalformed),
        (b"", XmlMalformed),
        (b"<" * 1_000_000, XmlMalformed),
        (b"<!--" * 250_000, XmlMalformed),
        (b"<?a" * 250_000, XmlMalformed),
        (b"<a>" * 65 + b"</a>" * 65, XmlTooDeep),
        (b"<a>" * 1_000_000, XmlTooDeep),
        (b"<a>" + b"<b/>" * 600_000, XmlTooLarge),
        (b"<a>" + b" " * 11_000_000 + b"</a>", XmlTooLarge),
        (b"<a " + b" ".join(b'b%d=""' % each for each in range(65)) + b"/>", XmlTooManyAttributes),
        (b"<a " + b" ".join(b'xmlns:b%d="u"' % each for each in range(400_000)) + b"/>", XmlTooManyAttributes),
        (b"<a>\n\xff</a>", EncodingRefused),
        (b'<?xml version="1.0" encoding="UTF-16"?><a/>', EncodingRefused),
        (b'\xef\xbb\xbf<?xml version="1.0" encoding="windows-1258"?><a/>', EncodingRefused),
        (b'<?xml version="1.0" encoding="utf-7"?><a/>', EncodingRefused),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', EncodingRefused),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else value.__name__,
)
def test_hostile_xml_is_refused(body: bytes, refusal: type[XmlRefused]) -> None:
    with pytest.raises(refusal):
        parse_xml_bytes(body)


@pytest.mark.parametrize(
    ("declared", "written_as"),
    [
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ("", "utf-16"),
        ('<?xml version="1.0" encoding="UTF-8"?>', "utf-8"),
        ('<?xml version="1.0" encoding="UTF-16"?>', "utf-16"),
        ("<?xml version='1.0' encoding='utf-16'?>", "utf-16-le"),
        ("<?xml version='1.0' encoding='utf-16'?>", "utf-16-be"),
        ('<?xml version="1.0" encoding="windows-1258" standalone="yes"?>', "cp1258"),
    ],
)
def test_a_vietnamese_name_reads_the_same_in_every_encoding(declared: str, written_as: str) -> None:
    name = "Nguyễn Thị Hậu Đỗ"
    sent = as_code_page_1258(name) if written_as == "cp1258" else name
    assert parse_xml_bytes(f"{declared}<a>{sent}</a>".encode(written_as)).text == name


def as_code_page_1258(text: str) -> str:
    """Tones as combining marks behind their letter, since the code page has no room for ễ."""
    tones = {"\u0300", "\u0301", "\u0303", "\u0309", "\u0323"}
    letters = []
    for letter in text:
        parts = unicodedata.normalize("NFD", letter)
        tone = "".join(each for each in parts if each in tones)
        letters.append(unicodedata.normalize("NFC", "".join(p for p in parts if p not in tones)) + tone)
    return "".join(letters)


def test_the_error_tells_line_and_column_and_no_content() -> None:
    with pytest.raises(XmlMalformed) as caught:
        parse_xml_bytes(b"<a>\n <NguyenVanA></b></a>")
    assert (caught.value.line, caught.value.column is not None) == (2, True)
    assert "Nguyen" not in str(caught.value)


def test_comments_and_instructions_are_left_out() -> None:
    root = parse_xml_bytes(b"<?show me?><a><!-- x --><?do it?><b/></a>")
    assert [child.tag for child in root] == ["b"]


def test_a_large_attachment_passes_where_the_caller_permits_it() -> None:
    body = b'<a v="' + b"x" * 11_000_000 + b'"/>'
    assert len(parse_xml_bytes(body, max_bytes=12_000_000).get("v")) == 11_000_000


def test_xinclude_is_only_an_element() -> None:
    body = b'<a xmlns:x="http://www.w3.org/2001/XInclude"><x:include href="file:///etc/passwd" parse="text"/></a>'
    assert parse_xml_bytes(body)[0].text is None
