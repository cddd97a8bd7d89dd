"""d: how long a doctor waits for the first picture of a CT that another hospital holds, in a real browser."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.bench import messages, transfer
from tests.bench.hospital import Hospital, hospitals
from tests.bench.rows import Row
from tests.house.web.screen import ARGUMENTS, CHROMIUM, DESKTOP, PHONE

ROWS = "d8"
PATIENCE_MS = 120_000


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as temporary, hospitals("bac-ninh", "bach-mai") as (holder, asker):
        message, size, _ = transfer.message_of(Path(temporary), holder, 60 if quick else 300)
        transfer.stow(holder, message)
        transfer.allow(holder, asker)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            for name, (width, height) in (("desk", DESKTOP), ("phone", PHONE)):
                context = browser.new_context(ignore_https_errors=True, viewport={"width": width, "height": height})
                first, whole = _looked(context.new_page(), asker)
                context.close()
                facts = {"screen": name, "mb": round(size / 1e6)}
                yield Row("d8", "first picture in the viewer, through two nodes", first, "s", "the whole series",
                          whole, 0.5, 0.2, "less", facts=facts)  # fmt: skip
            browser.close()


def _looked(page: Page, at: Hospital) -> tuple[float, float]:
    """Seconds from the click until the first picture is drawn, and until all are there."""
    user = next(one for one in at.entry["users"] if one["role"] == "doctor")
    page.goto(f"{at.url}/login")
    page.fill("[name=username]", user["username"])
    page.fill("[name=password]", user["password"])
    page.click("form[action^='/login'] button")
    page.wait_for_selector("form[action='/logout']", state="attached")
    page.goto(f"{at.url}/patients")
    page.fill("form.search [name=q]", messages.number(transfer.NUMBER))
    page.click("form.search button.main")
    page.wait_for_selector("a[href^='/view']", timeout=PATIENCE_MS)
    started = time.monotonic()
    page.click("a[href^='/view']")
    page.wait_for_selector(".pane[data-drawn]", timeout=PATIENCE_MS)
    first = time.monotonic() - started
    page.wait_for_selector(".pane[data-state=done]", timeout=PATIENCE_MS)
    return first, time.monotonic() - started
