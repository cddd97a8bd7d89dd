"""A browser without a screen: it keeps cookies, finds the forms of a page and sends them as they stand."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from werkzeug.test import Client, TestResponse

from adapters.store.people import User
from consent.requesters import Role
from hie_node.passwords import hasher
from tests.lab import Hospital

PASSWORD = "một mật khẩu đủ dài"
STAFF = {
    Role.DOCTOR: ("bs.minh", "BS. Trần Văn Minh"),
    Role.NURSE: ("dd.hoa", "ĐD. Lê Thị Hoa"),
    Role.REGISTRAR: ("tn.tuan", "Phạm Anh Tuấn"),
    Role.CONSENT_DESK: ("dt.nga", "Vũ Thị Nga"),
    Role.ADMINISTRATOR: ("qt.son", "Đỗ Hồng Sơn"),
    Role.DATA_PROTECTION_OFFICER: ("bv.lan", "Bùi Ngọc Lan"),
}
_HASH = hasher(lab=True).hash(PASSWORD)


def hires(hospital: Hospital) -> None:
    """One person for each role."""
    with hospital.house.storage.begin() as unit:
        for role, (username, name) in STAFF.items():
            unit.people_of_the_house.add_user(User(username, _HASH, role, name))


@dataclass(frozen=True)
class Scan:
    """A file as a form sends it."""

    content: bytes = b"%PDF-1.7 signed"
    name: str = "to giay.pdf"


@dataclass
class Form:
    """One form of a page with the values that it has before anybody types."""

    method: str
    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag == "form":
            self.forms.append(Form(given.get("method") or "get", given.get("action") or ""))
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        ticked = given.get("type") not in ("checkbox", "radio", "file") or "checked" in given
        if tag == "input" and self.forms and given.get("name") and ticked:
            self.forms[-1].fields.append((given["name"] or "", given.get("value") or ""))

    def handle_data(self, data: str) -> None:
        self._words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self._words)).strip()


@dataclass
class Seen:
    """A page as it arrived."""

    response: TestResponse
    address: str

    def __post_init__(self) -> None:
        self.html = "" if self.response.mimetype != "text/html" else self.response.get_data(as_text=True)
        self._read = _Reader()
        self._read.feed(self.html)

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def text(self) -> str:
        return self._read.text

    @property
    def links(self) -> list[str]:
        return self._read.links

    @property
    def tags(self) -> list[tuple[str, dict[str, str | None]]]:
        return self._read.tags

    def link(self, beginning: str) -> str:
        return next(one for one in self.links if one.startswith(beginning))

    def form(self, beginning: str) -> Form:
        return next(one for one in self._read.forms if one.action.startswith(beginning))


class Browser:
    """One browser at one hospital. Every answer that it got is kept in `seen`."""

    def __init__(self, hospital: Hospital) -> None:
        self.hospital = hospital
        self._client = Client(self._through_the_edge)
        self.seen: list[Seen] = []

    def _through_the_edge(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self.hospital.application(environ | {"HTTP_X_HIE_DOOR": "house"}, start_response)

    def sends(self, method: str, path: str, *, data: Any = None, headers: Any = None) -> Seen:
        """One request; no redirect is followed."""
        response = self._client.open(
            path, method=method, data=data, headers=headers, base_url="https://node.example", follow_redirects=False
        )
        response.get_data()
        response.close()
        seen = Seen(response, path)
        self.seen.append(seen)
        return seen

    def opens(self, path: str) -> Seen:
        """A page, and whatever it leads to by itself."""
        return self._follow(self.sends("GET", path))

    def _follow(self, seen: Seen) -> Seen:
        while seen.status in (302, 303):
            seen = self.sends("GET", seen.response.headers["Location"])
        return seen

    def fills(self, page: Seen, beginning: str, **typed: Any) -> Seen:
        """Send a form of this page with these fields typed into it; `from_` is the field `from`."""
        return self._follow(self.submits(page, beginning, **typed))

    def submits(self, page: Seen, beginning: str, **typed: Any) -> Seen:
        """The same without following."""
        form = page.form(beginning)
        given = {name.rstrip("_"): value for name, value in typed.items()}
        fields: dict[str, Any] = {}
        for name, value in form.fields:
            if name not in given:
                fields.setdefault(name, []).append(value)
        fields |= given
        if not any(isinstance(value, Scan) for value in fields.values()):
            return self.sends(form.method.upper(), form.action, data=fields)
        kind, body = _multipart(fields)
        return self.sends(form.method.upper(), form.action, data=body, headers={"Content-Type": kind})

    def watches(self, page: Seen, beginning: str) -> list[str]:
        """Send a form as the script does, and keep each state of the page that comes."""
        token = dict(page.form(beginning).fields)["token"]
        answer = self.sends("POST", beginning, data={"token": token}, headers={"Answer-Part": "1"})
        return [state for state in answer.html.split("\x1e") if state.strip()]

    def signs_in(self, role: Role = Role.DOCTOR, *, password: str = PASSWORD) -> Seen:
        return self.fills(self.opens("/"), "/login", username=STAFF[role][0], password=password)

    def finds(self, line: str, *, born: str = "", desk: str = "/patients") -> Seen:
        return self.fills(self.opens(desk), desk, q=line, born=born)

    @property
    def cookies(self) -> str:
        return str(self._client._cookies)


def _multipart(fields: dict[str, Any]) -> tuple[str, bytes]:
    """A form with a file, in memory: the client's own encoder leaves its temporary file open. Source: RFC 7578."""
    boundary, body = "a-boundary-of-the-tests", b""
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            is_file = isinstance(one, Scan)
            head = f'Content-Disposition: form-data; name="{name}"' + (f'; filename="{one.name}"' if is_file else "")
            content = one.content if is_file else str(one).encode()
            body += f"--{boundary}\r\n{head}\r\n\r\n".encode() + content + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()
