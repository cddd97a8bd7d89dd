"""The record, as a hospital's collector of audit messages gets it: rsyslog over TLS, and the message as DICOM has it.

rsyslog is the foreign party for the line and its frame (RFC 5424, RFC 5425). For the message there is none: the rules
of DICOM PS3.15 A.5.1 stand in `rules/audit_message.rng`, written from its text.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from lxml import etree

from adapters.syslog import audit_message
from hie_node.atna import deliver_record
from hie_node.setting_tables import Atna
from tests.conformance.soap import SoapClient
from tests.lab import Hospital, Lab, until
from tests.papers import LAN, STRANGER, CtStudy, ct_report, written_request

RULES = etree.RelaxNG(etree.parse(Path(__file__).parent / "rules" / "audit_message.rng"))
RSYSLOG = """
global(workDirectory="{folder}" maxMessageSize="1m" defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="{tls}/federation-ca.crt"
  defaultNetstreamDriverCertFile="{tls}/house.crt" defaultNetstreamDriverKeyFile="{tls}/house.key"
  parser.escapeControlCharactersOnReceive="off")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="{folder}/port")
template(name="parts" type="list" option.jsonf="on") {{
  property(outname="pri" name="pri" format="jsonf")
  property(outname="version" name="protocol-version" format="jsonf")
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="program" name="app-name" format="jsonf")
  property(outname="process" name="procid" format="jsonf")
  property(outname="kind" name="msgid" format="jsonf")
  property(outname="data" name="structured-data" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}}
action(type="omfile" file="{folder}/heard" template="parts" asyncWriting="off")
"""
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"


@contextmanager
def rsyslog(hospital: Hospital, folder: Path) -> Iterator[Path]:
    """A collector that listens with the hospital's certificate; gives the file of what it heard, an object a line."""
    program = shutil.which("rsyslogd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "./run test installs it"
    told = RSYSLOG.format(folder=folder, tls=hospital.house.settings.tls)
    (folder / "rsyslog.conf").write_text(told, "utf-8")
    with (folder / "said").open("wb") as said:
        running = subprocess.Popen(
            [program, "-n", "-f", folder / "rsyslog.conf", "-i", folder / "pid"], stdout=said, stderr=said
        )
        try:
            assert until((folder / "port").is_file), (folder / "said").read_text("utf-8")
            settings = hospital.house.settings
            atna = Atna("127.0.0.1", int((folder / "port").read_text("ascii")), str(settings.tls / "federation-ca.crt"))
            hospital.house = replace(hospital.house, settings=replace(settings, atna=atna))
            yield folder / "heard"
        finally:
            running.terminate()
            running.wait(30)


def heard(file: Path) -> list[dict[str, Any]]:
    with suppress(FileNotFoundError):
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return []


def everything(lab: Lab) -> tuple[Hospital, Hospital]:
    """Two hospitals between which everything happened that the record knows."""
    bac_ninh, bach_mai = lab.hospitals("bac-ninh", "bach-mai")
    bach_mai.registers(LAN)
    report, study = bac_ninh.publishes(ct_report(LAN)), bac_ninh.publishes_study(CtStudy(LAN))
    bach_mai.asks(bac_ninh, LAN)
    bach_mai.asks(bac_ninh, STRANGER)
    bac_ninh.asked("GET", "/fhir/DocumentReference?status=current")
    consent = bach_mai.records(written_request(LAN, to="bach-mai"))
    bach_mai.finds_documents(LAN)
    bach_mai.finds_studies(LAN)
    bach_mai.fetches(report)
    bach_mai.fetches(study)
    bach_mai.withdraws(consent)
    soap = SoapClient(bac_ninh)
    soap.finds(LAN.number_at("bac-ninh"))
    bac_ninh.asked("DELETE", f"/fhir/DocumentReference/{report.id}")
    bach_mai.works()
    return bac_ninh, bach_mai


def test_a_foreign_collector_hears_every_row_and_each_keeps_the_rules(lab: Lab, tmp_path: Path) -> None:
    seen = set()
    for hospital in everything(lab):
        hospital.seals()
        (folder := tmp_path / f"heard-{hospital.name}").mkdir()
        with rsyslog(hospital, folder) as file:
            sent = deliver_record(hospital.house)
            assert until(lambda file=file, sent=sent: len(heard(file)) == sent), (folder / "said").read_text("utf-8")
        rows = hospital.record
        assert sent == len(rows) > 5
        for row, line in zip(rows, heard(file), strict=True):
            assert {name: line[name] for name in ("pri", "version", "program", "kind", "data")} == {
                "pri": "85", "version": "1", "program": "hie-node", "kind": "IHE+RFC-3881", "data": "-",
            }  # fmt: skip
            assert abs((datetime.fromisoformat(line["time"]) - row.recorded).total_seconds()) < 0.001
            message = line["message"].removeprefix(BOM)
            assert message != line["message"], "what is UTF-8 says so (RFC 5424: 6.4)"
            assert faults(message.encode()) == [], message
            assert LAN.name not in message
            seen.add((row.direction, row.action))
    assert {direction for direction, _ in seen} == {"asked", "changed", "disclosed", "published", "received", "refused"}
    assert {action for _, action in seen} == set("CRUDE")


def faults(message: bytes) -> list[str]:
    root = etree.fromstring(message)
    return [] if RULES.validate(root) else [str(each) for each in RULES.error_log]


def test_the_rules_see_what_is_wrong(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    bac_ninh.publishes(ct_report(LAN))
    good = audit_message(bac_ninh.record[0], home=bac_ninh.home)
    assert faults(good) == []
    for old, new in (
        (b'EventActionCode="', b'EventActionCode="X'),
        (b"EventOutcomeIndicator", b"Outcome"),
        (b'UserIsRequestor="true"', b'UserIsRequestor="maybe"'),
        (b"AuditSourceIdentification", b"Source"),
        (b' originalText="', b' name="'),
    ):
        assert old in good and faults(good.replace(old, new)), old
