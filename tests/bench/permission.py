"""k: the rule and the record. Decisions a second, what the record costs, verifying it, and a withdrawal's way.

Three hospitals in this process, real databases and TLS; what is measured is this node's work, not the edge's.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from unittest.mock import patch

from sqlalchemy import text

from adapters.store.disclosures import StoredDisclosures
from adapters.store.engine import make_engine
from adapters.store.migrations import migrate
from adapters.store.unit import Storage
from adapters.trust import certificates
from consent.consents import Actor, Consent, Evidence, Period, Provision
from consent.decide import AccessRequest, Item, decide
from consent.disclosures import Disclosure
from consent.policy import VIET_NAM
from consent.requesters import PurposeOfUse, Requester, Role
from hie_node import jobs
from hie_node.flows import audit
from registry.identifiers import HomeCommunityId, PatientIdentifier
from tests.bench.rows import Row
from tests.lab import Hospital, Lab
from tests.papers import LAN, ct_report, written_request

ROWS = "k1 k2 k3 k4 k5"
HOLDER, ASKER = HomeCommunityId("urn:oid:1.2.840.1"), HomeCommunityId("urn:oid:1.2.840.2")
NOW = datetime(2026, 11, 28, tzinfo=UTC)


def measure(wanted: frozenset[str], *, quick: bool) -> Iterator[Row]:
    if "k1" in wanted:
        yield _decisions(quick)
    if "k2" in wanted:
        yield from _with_and_without(quick)
    if "k3" in wanted:
        yield _verifying(10_000 if quick else 1_000_000)
    if "k4" in wanted:
        yield _withdrawal(5 if quick else 20)
    if "k5" in wanted:
        yield from _questions(200_000 if quick else 1_000_000)


def _consent(number: int) -> Consent:
    rule = Provision(
        "permit", f"p{number}", Period(NOW - timedelta(1)), (Actor(ASKER),), frozenset({PurposeOfUse.TREAT})
    )
    given = NOW - timedelta(days=2, seconds=number)
    return Consent(
        f"c{number}", PatientIdentifier("urn:x", "1"), "r", "active", given,
        "https://profiles.ihe.net/ITI/PCF/Policy-basic-normal", rule, evidence=Evidence("paper", "x", "a" * 64),
    )  # fmt: skip


def _decisions(quick: bool) -> Row:
    ask = AccessRequest(Requester("s", Role.DOCTOR, ASKER), HOLDER, Item(frozenset({"N"}), "i", "u", NOW))
    found = {}
    for number in (1, 10, 100):
        consents = [_consent(n) for n in range(number)]
        rounds = (4_000 if quick else 40_000) // number
        started = time.process_time()
        for _ in range(rounds):
            decide(ask, consents, VIET_NAM, now=NOW)
        found[number] = rounds / (time.process_time() - started)
    facts = {f"{number} consents": f"{rate:.0f}/s" for number, rate in found.items()}
    return Row(
        "k1", "decisions a second of CPU, a patient with 10 consents", found[10], "/s",
        "with 1 consent, a tenth of it", found[1] / 10, 0.5, 0.8, facts=facts,
    )  # fmt: skip


def _lab(folder: Path) -> Lab:
    def database(home: Path) -> str:
        url = f"sqlite:///{home / 'node.db'}"
        engine = make_engine(url)
        migrate(engine)
        engine.dispose()
        return url

    return Lab(folder, certificates.make_authority("bench", now=datetime.now(UTC)), database)


def _with_and_without(quick: bool) -> Iterator[Row]:
    """The same acts with rows of the record, and with none written: pairs in turn, so that both meet the same load."""
    with tempfile.TemporaryDirectory() as folder:
        lab = _lab(Path(folder))
        (hospital,) = lab.hospitals("bac-ninh")
        hospital.registers(LAN)
        hospital.publishes(ct_report(LAN))
        acts: dict[str, Callable[[int], object]] = {
            "publishing": lambda n: hospital.publishes(ct_report(LAN, f"{n} {time.monotonic_ns()}")),
            "asking": lambda _: hospital.finds_own_documents(LAN),
        }
        for name, act in acts.items():
            with_it, without = _in_turn(act, 40 if quick else 200)
            yield Row(
                "k2",
                f"{name} with the record",
                with_it * 1000,
                "ms",
                "without it",
                without * 1000,
                1.3,
                1.1,
                better="less",
            )
        lab.close()


def _in_turn(act: Callable[[int], object], rounds: int) -> tuple[float, float]:
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * rounds):
        recording = number % 2 == 0
        started = time.perf_counter()
        if recording:
            act(number)
        else:
            with patch.object(StoredDisclosures, "add", lambda *_: None):
                act(number)
        times[recording].append(time.perf_counter() - started)
    return median(times[True]), median(times[False])


def _verifying(rows: int) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        lab = _lab(Path(folder))
        (hospital,) = lab.hospitals("bac-ninh")
        _fill(hospital, rows)
        started = time.process_time()
        result = audit.verify(hospital.house)
        seconds = time.process_time() - started
        assert result.findings == () and result.rows == rows
        lab.close()
    return Row(
        "k3", f"verifying a record of {rows} rows", rows / seconds, "rows/s of CPU", "a million in a minute", 1e6 / 60,
        0.5, 1.0, facts={"seconds": f"{seconds:.1f}"},
    )  # fmt: skip


def _fill(hospital: Hospital, rows: int) -> None:
    storage: Storage = hospital.house.storage
    asker = hospital.requester()
    patient = PatientIdentifier(hospital.house.settings.patient_id_system, "1")
    row = Disclosure(
        "", NOW, "disclosed", "R", "ITI-67", asker, patient, items=("a" * 36,), reasons={"own-hospital": 1}
    )
    for start in range(0, rows, 10_000):
        with storage.begin() as unit:
            for number in range(start, min(start + 10_000, rows)):
                unit.disclosures.add(replace(row, id=f"{number:012d}", recorded=NOW + timedelta(seconds=number)))
        audit.seal(hospital.house)


def _questions(rows: int) -> Iterator[Row]:
    """Who saw what of a patient, and whom a person opened, over that many rows: 100 a patient, 200 people."""
    with tempfile.TemporaryDirectory() as folder:
        lab = _lab(Path(folder))
        (hospital,) = lab.hospitals("bac-ninh")
        _crowd(hospital, rows)
        with hospital.house.storage.read() as unit:
            started = time.perf_counter()
            seen = unit.disclosures.search(record_ids=("p777",), limit=1000)
            assert len(seen) == unit.disclosures.count_found(record_ids=("p777",)) == 100
            of_a_patient = time.perf_counter() - started
            started = time.perf_counter()
            opened = unit.disclosures.opened(
                subject="s7", other=None, since=NOW, until=NOW + timedelta(seconds=rows + 1)
            )
            assert sum(one.times for one in opened) == rows // 200
            of_a_person = time.perf_counter() - started
        lab.close()
    for what, seconds in (("who saw this patient's record", of_a_patient), ("whom did this person open", of_a_person)):
        yield Row("k5", f"{what}, {rows} rows", seconds, "s", "a minute", 60.0, 1.0, 0.1, better="less")


def _crowd(hospital: Hospital, rows: int) -> None:
    """Rows as the node writes them, made inside the database."""
    asker = hospital.requester()
    patient = PatientIdentifier(hospital.house.settings.patient_id_system, "1")
    row = Disclosure("ID", NOW, "disclosed", "R", "ITI-67", asker, patient, "REC", ("a" * 36,), {"own-hospital": 1})
    body = row.canonical().decode().replace(asker.subject, "SUBJECT")
    moment = "strftime('%Y-%m-%dT%H:%M:%S', :start + i, 'unixepoch') || '.000000+00:00'"
    facts = {"body": body, "rows": rows, "start": int(NOW.timestamp()), "then": row.as_json()["recorded"]}
    with make_engine(hospital.house.settings.database_url).begin() as connection:
        connection.execute(
            text(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows) "
                "INSERT INTO disclosure (id, record_id, recorded, body, subject) SELECT printf('%012d', i), "
                f"'p' || (i / 100), {moment}, replace(replace(replace(replace(:body, 'ID', printf('%012d', i)), "
                f"'REC', 'p' || (i / 100)), 'SUBJECT', 's' || (i % 200)), :then, {moment}), 's' || (i % 200) FROM n"
            ),
            facts,
        )


def _withdrawal(rounds: int) -> Row:
    """From the click at the desk until the other two hospitals refuse: they are asked until they do."""
    with tempfile.TemporaryDirectory() as folder:
        lab = _lab(Path(folder))
        bac_ninh, thai_nguyen, bach_mai = lab.hospitals("bac-ninh", "thai-nguyen", "bach-mai", refusal_pace=0.001)
        holders, times = (bac_ninh, thai_nguyen), []
        for hospital in (*holders, bach_mai):
            hospital.registers(LAN)
        for hospital in holders:
            hospital.publishes(ct_report(LAN))
        for _ in range(rounds):
            lab.clock.moves(by=timedelta(minutes=1))
            consent = bach_mai.records(written_request(LAN, to="bach-mai"))
            assert len(bach_mai.finds_documents(LAN).ids) == len(holders)
            started = time.perf_counter()
            bach_mai.withdraws(consent)
            jobs.carry_withdrawals(bach_mai.house)
            while not all(_is_dead(holder, consent.id) for holder in holders):
                time.sleep(0.001)
            times.append(time.perf_counter() - started)
        lab.close()
    return Row(
        "k4", "a withdrawal in effect at two other hospitals", median(times), "s",
        "a few seconds (and half a second until the next round of jobs)", 3.0, 1.0, 0.5, better="less",
    )  # fmt: skip


def _is_dead(holder: Hospital, receipt_id: str) -> bool:
    with holder.house.storage.read() as unit:
        kept = unit.receipts.kept(receipt_id)
        return kept is not None and kept.ends(kept.receipt)
