"""Report texts and the codes that belong to them."""

import re
from random import Random

from hie_node.lab.reports import examination_kinds, report


def test_there_are_a_dozen_kinds_with_variants_of_ct_and_mri() -> None:
    kinds = examination_kinds()
    assert len(kinds) >= 12
    assert {kind.modality for kind in kinds.values()} == {"CT", "MR"}
    assert all(len(kind.variants) >= 2 for kind in kinds.values())


def test_every_code_has_its_shape() -> None:
    for kind in examination_kinds().values():
        assert re.fullmatch(r"\d{4,5}-\d", kind.loinc_code)
        for service in kind.services.values():
            assert re.fullmatch(r"18\.\d{4}\.\d{4}", service.code)
            assert service.price > 500_000
        for text in kind.variants:
            assert re.fullmatch(r"[A-Z]\d{2}(\.\d)?", text.icd10)


def test_a_plain_brain_ct_has_the_code_of_the_scanner() -> None:
    kind = examination_kinds()["ct-brain"]
    assert [kind.service(rows).code for rows in ("1-32", "64-128", ">=256")] == [
        "18.0149.0040",
        "18.0165.0043",
        "18.0178.0047",
    ]
    assert examination_kinds()["mr-brain"].service("1-32").code == "18.0296.0066"


def test_a_report_reads_in_three_parts() -> None:
    for kind in examination_kinds().values():
        text = str(report(kind, Random(1)))
        assert text.index("KỸ THUẬT") < text.index("MÔ TẢ HÌNH ẢNH") < text.index("KẾT LUẬN")
