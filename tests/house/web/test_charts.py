"""Words below a chart stand beside each other, never over each other, also on the narrowest screen."""

from __future__ import annotations

import pytest

from hie_node.web.charts import WIDTH, months
from registry.ledger import Sum

ON_A_PHONE = 22
"""Size of the letters in the drawing there (`house.css`); a digit is some 0.6 of it wide."""


@pytest.mark.parametrize("count", [1, 3, 6, 12, 13, 36, 37])
def test_no_two_words_below_the_bars_touch(count: int) -> None:
    keys = [f"{2023 + place // 12}-{place % 12 + 1:02}" for place in range(10, 10 + count)]
    chart = months({key: Sum() for key in keys})
    for words in ("short", "year"):
        ends = 0.0
        for bar in chart.bars:
            text = getattr(bar, words)
            half = len(text) * ON_A_PHONE * 0.6 / 2
            middle = bar.x + bar.width / 2
            if text:
                assert middle - half >= ends, (count, bar.label)
                ends = middle + half
        assert ends <= WIDTH + ON_A_PHONE
    assert {bar.label for bar in chart.bars} == {f"{key[5:]}/{key[:4]}" for key in keys}
    assert any(bar.year for bar in chart.bars)
