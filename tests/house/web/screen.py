"""A real browser on a real page: Debian's chromium through TLS at the house door of a hospital of the lab."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from consent.requesters import Role
from tests.house.web.browser import PASSWORD, STAFF
from tests.lab import Hospital

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
DESKTOP, PHONE = (1280, 860), (390, 780)


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None: ...


class HouseDoor:
    """The house door of one hospital at an address that a browser can open."""

    def __init__(self, hospital: Hospital) -> None:
        self._hospital = hospital
        tls = hospital.house.settings.tls
        certificate = (str(tls / "node.crt"), str(tls / "node.key"))
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet, ssl_context=certificate
        )
        self.address = f"https://127.0.0.1:{self._server.port}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        return self._hospital.application(environ | {"HTTP_X_HIE_DOOR": "house"}, start_response)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()


@dataclass
class Screen:
    """One person before one screen. What the browser complained about is kept in `complaints`."""

    page: Page
    door: HouseDoor
    english: bool = False
    complaints: list[str] = field(default_factory=list)

    def opens(self, path: str) -> None:
        self.page.goto(self.door.address + path)

    def signs_in(self, role: Role = Role.DOCTOR) -> None:
        self.opens("/login")
        self.page.fill("[name=username]", STAFF[role][0])
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("form[action^='/login'] button")
        self.page.wait_for_selector("form[action='/logout']", state="attached")
        self.speaks()

    def speaks(self) -> None:
        """The language of this person, where the page has another."""
        if self.english and (button := self.page.query_selector("button[value=en]")):
            button.click()
            self.page.wait_for_selector("html[lang=en]")

    def finds(self, line: str, *, desk: str = "/patients") -> None:
        self.opens(desk)
        self.page.fill("form.search [name=q]", line)
        self.page.click("form.search button.main")

    def sees(self, selector: str) -> None:
        """Waits until it is there."""
        self.page.wait_for_selector(selector, timeout=30_000)

    def barriers(self) -> list[str]:
        """What would keep somebody from using this page: serious findings of axe-core, and what does not fit."""
        found = Axe().run(self.page).response["violations"]
        told = [
            f"{one['id']}: {node['html'][:160]}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]
        if self.page.evaluate("document.scrollingElement.scrollWidth > innerWidth + 1"):
            told.append("wider than the screen")
        told += self.page.eval_on_selector_all(
            ".scroll",
            "all => all.filter(one => one.scrollWidth > one.clientWidth + 1)"
            ".map(one => 'a column is off the screen: ' + one.textContent.trim().slice(0, 60))",
        )
        told += self.page.eval_on_selector_all(
            "button, a.button",
            "all => all.filter(one => one.offsetParent && one.scrollWidth > one.clientWidth + 1)"
            ".map(one => 'words reach out of a button: ' + one.textContent.trim())",
        )
        return told

    def grey(self, pane: int, column: int, row: int, *, columns: int, rows: int) -> int:
        """How bright the screen is in the middle of one pixel of the picture."""
        return int(
            self.page.evaluate(
                """([pane, column, row, columns, rows]) => {
                    const canvas = document.querySelectorAll(".pane canvas")[pane];
                    const scale = Math.min(canvas.width / columns, canvas.height / rows);
                    const x = (canvas.width - columns * scale) / 2 + (column + 0.5) * scale;
                    const y = (canvas.height - rows * scale) / 2 + (row + 0.5) * scale;
                    return canvas.getContext("2d").getImageData(Math.round(x), Math.round(y), 1, 1).data[0];
                }""",
                [pane, column, row, columns, rows],
            )
        )


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextlib.contextmanager
def screen(
    browser: Browser, door: HouseDoor, size: tuple[int, int] = DESKTOP, *, judged: bool = False, script: bool = True
) -> Iterator[Screen]:
    """A window of its own, with cookies of its own; the node's certificate is one that only nodes know. `judged` lets
    the judge of accessibility in, whose script no page allows."""
    context: BrowserContext = browser.new_context(
        ignore_https_errors=True,
        bypass_csp=judged,
        viewport={"width": size[0], "height": size[1]},
        has_touch=size is PHONE,
        java_script_enabled=script,
    )
    page = context.new_page()
    made = Screen(page, door)
    page.on("pageerror", lambda error: made.complaints.append(str(error)))
    page.on("console", lambda line: made.complaints.append(line.text) if line.type == "error" else None)
    yield made
    context.close()
