"""The written request as paper: everything that the law wants is on it, in both languages, and its scan comes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from adapters.pdf import Block, Bullets, Facts, Grid, Heading, Paragraph, Signatures
from consent.errors import InvalidConsent
from consent.representation import Signers, signers
from consent.requesters import Role
from hie_node.flows.signed_papers import signed_paper, signed_request
from hie_node.request_form import WORDS, Language, RequestForm, request_form, sentences
from registry.errors import NotFound
from registry.people import BirthDate
from tests.conformance.pdf import is_whole
from tests.lab import Hospital, Lab
from tests.papers import LAN, written_request

NEEDED: dict[Language, tuple[str, ...]] = {
    "vi": ("nhạy cảm", "rút lại", "tự nguyện", "90 ngày", "Bên cung cấp", "Bên nhận", "Mục đích", "91/2025/QH15"),
    "en": ("sensitive", "withdraw", "voluntary", "90 days", "provides", "receives", "Purpose", "91/2025/QH15"),
}


def said(block: Block) -> str:
    match block:
        case Heading(text=text) | Paragraph(text=text):
            return text
        case Bullets(items=items, mark=mark):
            return " ".join(f"{mark} {item}" for item in items)
        case Facts(rows=rows) | Grid(rows=rows):
            return " ".join(" ".join(row) for row in rows)
        case Signatures(people=people, said=said_above):
            return " ".join([said_above, *(" ".join(person) for person in people)])


def _form(hospital: Hospital, **changes: object) -> RequestForm:
    with hospital.house.storage.read() as unit:
        record = unit.patients.record(hospital.number_of(LAN))
    assert record is not None
    form = RequestForm(record, hospital.house.settings.name, days=90, explained_by="ĐD. Nga")
    return replace(form, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_form_says_everything_that_the_law_wants_said(lab: Lab, language: Language) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.registers(LAN)
    form = _form(bac_ninh, holders=(bach_mai.peer.community,))
    text = " ".join(said(block) for block in sentences(form, WORDS[language], lab.clock()))
    for words in (*NEEDED[language], LAN.name, bach_mai.house.settings.name, bac_ninh.house.settings.name, "ĐD. Nga"):
        assert words.lower() in text.lower(), words
    assert "☒" in text and "☐" not in text
    made = request_form(form, language=language, now=lab.clock())
    assert is_whole(made) and made == request_form(form, language=language, now=lab.clock())


def test_nothing_is_ticked_that_nobody_asked_for(lab: Lab) -> None:
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.registers(LAN)
    form = _form(bac_ninh, known=(bach_mai.peer.community,), days=None)
    text = " ".join(said(block) for block in sentences(form, WORDS["vi"], lab.clock()))
    assert "☒" not in text and text.count("☐") == 2 and "……" in text


def test_on_paper_there_is_a_place_for_whoever_signs_in_the_end(lab: Lab) -> None:
    """Once each, however the form was begun."""
    (bac_ninh,) = lab.hospitals("bac-ninh")
    bac_ninh.registers(LAN)
    places = ["Người làm chứng", "Người giải thích"]
    assert _places(_form(bac_ninh), lab) == ["Người yêu cầu", "Người đại diện", *places]
    assert _places(_form(bac_ninh, represented_by="Lê Văn Hai, con"), lab) == ["Người đại diện", *places]


def _places(form: RequestForm, lab: Lab) -> list[str]:
    (found,) = (block for block in sentences(form, WORDS["vi"], lab.clock()) if isinstance(block, Signatures))
    return [who for who, _, _ in found.people]


def test_both_languages_say_the_same_things() -> None:
    assert WORDS["vi"].keys() == WORDS["en"].keys()


@pytest.mark.parametrize(
    ("born", "who"),
    [
        ("2019-11-29", Signers.REPRESENTATIVE),
        ("2019-11-28", Signers.BOTH),
        ("2010-11-29", Signers.BOTH),
        ("2010-11-28", Signers.PATIENT),
        ("2019", Signers.REPRESENTATIVE),
        ("2010-11", Signers.BOTH),
        ("1950", Signers.PATIENT),
        (None, Signers.PATIENT),
    ],
)
def test_a_child_does_not_sign_alone(born: str | None, who: Signers) -> None:
    assert signers(BirthDate(born) if born else None, date(2026, 11, 28)) is who


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"GIF89a", "electronic"),
        (b"", "paper"),
        (b"%PDF-1.7 nobody signed", "electronic"),
        (b"\xff\xd8\xff /ByteRange /Contents", "electronic"),
        (b"%PDF-1.7", "spoken"),
    ],
)
def test_what_is_no_signed_paper_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(InvalidConsent):
        signed_paper(body, kind)


def test_a_signed_paper_is_known_by_its_first_bytes() -> None:
    assert signed_paper(b"%PDF-1.7 /ByteRange [0 1 2 3] /Contents <00>", "electronic")[1] == "application/pdf"
    assert signed_paper(b"II*\x00 a scanner's own", "paper")[1] == "application/octet-stream"
    assert signed_paper(b"\x89PNG\r\n\x1a\n...", "witnessed")[1] == "image/png"


def test_the_scan_comes_back_as_it_was_and_opening_it_is_on_record(lab: Lab) -> None:
    bac_ninh, _ = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.registers(LAN)
    request = written_request(LAN, to="bach-mai")
    consent = bac_ninh.records(request)
    act = bac_ninh._act("evidence", Role.CONSENT_DESK)
    assert signed_request(act, consent.id) == request.evidence
    assert consent.evidence is not None
    paper = consent.evidence.reference.removeprefix("DocumentReference/")
    assert bac_ninh.record[-1].transaction == "evidence" and bac_ninh.record[-1].items == (consent.id, paper)
    with pytest.raises(NotFound):
        signed_request(bac_ninh._act("evidence", Role.CONSENT_DESK), "nothing")
