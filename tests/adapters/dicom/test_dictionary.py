"""The node's own table of DICOM says what the library says that it was made from."""

from __future__ import annotations

from pydicom._dicom_dict import DicomDictionary
from pydicom.charset import CODES_TO_ENCODINGS, handled_encodings, python_encoding
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.uid import UID, UID_dictionary

from adapters.dicom import dictionary
from tests.conformance.make_dicom_dictionary import TABLE, lines


def test_the_table_is_the_one_that_is_made_from_the_library() -> None:
    assert TABLE.read_text("utf-8").splitlines() == lines()


def test_every_tag_has_the_same_value_representation_and_keyword() -> None:
    for tag in (*DicomDictionary, 0x60000010, 0x60020010, 0x50003000, 0x60FE3000):
        if tag & 0xFFFF:
            assert dictionary.value_representation(tag) == dictionary_VR(tag), hex(tag)
            assert dictionary.keyword_of(tag) == keyword_for_tag(tag), hex(tag)
    assert dictionary.tag_of("PatientID") == tag_for_keyword("PatientID")
    assert dictionary.value_representation(0x00091001) == "UN"
    assert dictionary.tag_of("NoSuchKeyword") is None


def test_every_character_set_has_the_same_codec() -> None:
    for term, codec in python_encoding.items():
        assert dictionary.codec(term) == codec
    for escape, codec in CODES_TO_ENCODINGS.items():
        assert dictionary.codec_of_escape(escape + b"x")[0] == codec
        assert (dictionary.codec_of_escape(escape)[1] == 0) == (codec in handled_encodings)
    assert dictionary.codec("ISO_IR 999") is None


def test_images_are_told_from_reports() -> None:
    for uid in UID_dictionary:
        assert dictionary.is_image(uid) == ("Image Storage" in UID(uid).name)
