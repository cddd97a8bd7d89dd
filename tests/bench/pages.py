"""p: the doctor's page as a browser meets it: own results, those of twenty hospitals with one silent, its weight.

The card at the moment of ordering stands beside it (p5): the same hospitals, and nothing remembered of the patient.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urljoin

import requests

from adapters.trust.directory import write_by_hand
from registry.directory import Peer
from tests.bench import loading, messages
from tests.bench.fan_out import limit
from tests.bench.federation import FORM
from tests.bench.hospital import Hospital, hospitals
from tests.bench.ordering import body
from tests.bench.rows import Row
from tests.bench.stub_peers import DELAY, ports_of, stub_peers

ROWS = "p1 p2 p3 p4 p5"
PEERS = 20
PATIENTS, EACH = 1_000, 10
ROUNDS, QUICK = 15, 5
END_OF_PART = b"\x1e"
_TOKEN = re.compile(r'name="token" value="([^"]+)"')
_ANSWERED = re.compile(r"(\d+) đã trả lời")
_PARTS = re.compile(r'(?:href|src)="(/static/[^"]+)"')


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    rounds = QUICK if quick else ROUNDS
    with tempfile.TemporaryDirectory() as folder, hospitals("bach-mai") as (hospital,):
        loading.fill(hospital.settings, patients=PATIENTS, documents_each=EACH)
        federation = Path(hospital.ca_file).parent
        with stub_peers(Path(folder), federation, PEERS - 1) as stubs:
            known = (*stubs.peers, stubs.slow)
            write_by_hand(hospital.settings.network, known)
            time.sleep(0.2)
            doctor = Doctor(hospital)
            first = doctor.watches("record-0")
            if "p1" in wanted:
                yield _own(doctor, rounds)
            if "p2" in wanted:
                yield _everybody(doctor, hospital, stubs.peers, rounds)
            if "p3" in wanted:
                yield _given_up(hospital, first)
            if "p4" in wanted:
                yield _weight(doctor, hospital)
            if "p5" in wanted:
                yield _card(hospital, rounds)


@dataclass(frozen=True, slots=True)
class Watched:
    """Seconds after the click: the first state of the answer, the state with all that answer, the last one.

    own      whether the first state showed the own records
    states   how many states of the page came
    weight   bytes of all of them
    """

    first: float
    answered: float
    last: float
    own: bool
    states: int
    weight: int


class Doctor:
    """A browser with a session; it reads each state of the page as it comes."""

    def __init__(self, hospital: Hospital) -> None:
        self._url = hospital.url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = hospital.ca_file
        self._session.headers["Accept-Encoding"] = "gzip"
        user = next(one for one in hospital.entry["users"] if one["role"] == "doctor")
        token = self._token(self.gets("/login").text)
        form = {"username": user["username"], "password": user["password"], "token": token}
        signed_in = self._session.post(f"{self._url}/login", data=form, timeout=60)
        if 'type="password"' in signed_in.text or not signed_in.ok:
            raise RuntimeError("the doctor could not sign in")

    def gets(self, path: str) -> requests.Response:
        answer = self._session.get(self._url + path, timeout=60)
        answer.raise_for_status()
        return answer

    def _token(self, page: str) -> str:
        found = _TOKEN.search(page)
        if found is None:
            raise RuntimeError("a page without a form")
        return found[1]

    def took(self, path: str) -> float:
        """Milliseconds until the whole page is there."""
        started = time.perf_counter()
        self.gets(path)
        return (time.perf_counter() - started) * 1e3

    def weight(self, path: str) -> int:
        """Bytes on the wire of a page with all that it links to, at a first visit."""
        page = self.gets(path)
        parts = {urljoin(self._url, part) for part in _PARTS.findall(page.text)}
        return sum(_carried(self._session, each) for each in (self._url + path, *parts))

    def watches(self, record_id: str) -> Watched:
        page = f"/patients/{record_id}"
        form = {"token": self._token(self.gets(page).text)}
        started = time.perf_counter()
        answer = self._session.post(
            f"{self._url}{page}/others", data=form, headers={"Answer-Part": "1"}, stream=True, timeout=60
        )
        answer.raise_for_status()
        seen: list[tuple[float, bytes]] = []
        rest, weight = b"", 0
        for piece in answer.raw.stream(1 << 16, decode_content=True):
            weight += len(piece)
            *whole, rest = (rest + piece).split(END_OF_PART)
            seen += [(time.perf_counter() - started, one) for one in whole]
        return _watched(seen, weight)


def _watched(seen: Sequence[tuple[float, bytes]], weight: int) -> Watched:
    states = [(when, state.decode()) for when, state in seen]
    everybody = next((when for when, state in states if _answered(state) >= PEERS - 1), None)
    if everybody is None:
        raise RuntimeError(f"{_answered(states[-1][1])} of {PEERS - 1} hospitals answered")
    own = 'class="entry here"' in states[0][1]
    return Watched(states[0][0], everybody, states[-1][0], own, len(states), weight)


def _answered(state: str) -> int:
    """How many hospitals the line above the records says have answered."""
    found = _ANSWERED.search(state)
    return int(found[1]) if found else 0


def _own(doctor: Doctor, rounds: int) -> Row:
    numbers = range(1, rounds + 1)
    least = median(doctor.took("/account") for _ in numbers)
    own = median(doctor.took(f"/patients/record-{n}") for n in numbers)
    return Row("p1", f"click to own results, {EACH} documents", own, "ms", "a page with nothing to find",
               least, 10.0, 5.0, "less")  # fmt: skip


def _everybody(doctor: Doctor, hospital: Hospital, peers: Sequence[Peer], rounds: int) -> Row:
    """Two questions go to each hospital, so the limit asks each twice at once."""
    seen = [doctor.watches(f"record-{100 + n}") for n in range(rounds)]
    delay = DELAY * 1e3
    least = limit(hospital.settings.tls, ports_of(peers) * 2, FORM).warm - delay
    answered = median(one.answered for one in seen) * 1e3
    facts = {"first_state_ms": round(median(one.first for one in seen) * 1e3), "p50_ms": round(answered),
             "own_from_the_first": all(one.own for one in seen), "states": median(one.states for one in seen),
             "kB": round(median(one.weight for one in seen) / 1e3)}  # fmt: skip
    what = f"click to the answers of {len(peers)} hospitals while one is silent, beyond the slowest of them"
    return Row("p2", what, answered - delay, "ms", "warm urllib3 pools", max(least, 0.5), 20.0, 8.0, "less",
               facts=facts)  # fmt: skip


def _given_up(hospital: Hospital, first: Watched) -> Row:
    """Of the first click after a start: later the silent one is known to be, and is not waited for."""
    facts = {"answered_s": round(first.answered, 2), "own_s": round(first.first, 2)}
    return Row("p3", "first click after a start, until the silent one is given up", first.last, "s", "the deadline",
               hospital.settings.limits.answer_budget, 1.1, 1.03, "less", facts=facts)  # fmt: skip


def _weight(doctor: Doctor, hospital: Hospital) -> Row:
    weight = doctor.weight("/patients/record-1")
    system = hospital.entry["patient_id_system"]
    query = f"patient.identifier={system}|{messages.number(1)}&status=current&_count={EACH}"
    headers = hospital.system().headers()
    answer = requests.get(
        f"{hospital.url}/fhir/DocumentReference?{query}", headers=headers, verify=hospital.ca_file, timeout=60
    )
    answer.raise_for_status()
    what = "first visit to the doctor's page, with style and script"
    return Row("p4", what, weight / 1e3, "kB", "its records over FHIR", len(answer.content) / 1e3, 5.0, 2.0, "less")


def _card(hospital: Hospital, rounds: int) -> Row:
    """Nothing is remembered of these patients, so everybody is asked; the silent one costs no card its whole time."""
    system, took = hospital.system(), []
    for n in range(rounds):
        call = body("order-sign", messages.number(200 + n))
        started = time.perf_counter()
        given = system.post_bytes("/cds-services/order-sign", call, "application/json").json()
        took.append(time.perf_counter() - started)
        if not given.get("cards"):
            raise RuntimeError("a patient with a CT of the head gets no card")
    budget = hospital.settings.limits.order_budget
    what = f"order-sign, {PEERS} hospitals asked first, one of them known to be silent"
    return Row("p5", what, median(took), "s", "what a card waits for others", budget, 1.25, 1.05, "less")


def _carried(session: requests.Session, url: str) -> int:
    """Bytes of the body as they come over the wire."""
    with session.get(url, stream=True, timeout=60) as answer:
        answer.raise_for_status()
        return sum(len(piece) for piece in answer.raw.stream(1 << 16, decode_content=False))
