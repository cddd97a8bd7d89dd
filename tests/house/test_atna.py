"""A hospital that collects audit messages gets every row, in order, whatever becomes of the collector meanwhile."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from lxml import etree

from adapters.syslog import audit_message
from hie_node.atna import deliver_record
from hie_node.setting_tables import Atna
from tests.lab import Hospital, Lab, until
from tests.papers import LAN, ct_report


class Collected:
    def __init__(self) -> None:
        self.port, self.lines = 0, list[bytes]()


@contextmanager
def collector(hospital: Hospital) -> Iterator[Collected]:
    """A collector of our own: TLS 1.2 or newer, who comes has to show a certificate, frames by octet counting."""
    tls, found = hospital.house.settings.tls, Collected()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls / "house.crt", tls / "house.key")
    context.load_verify_locations(tls / "federation-ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    server = socket.create_server(("127.0.0.1", 0))
    found.port = server.getsockname()[1]

    def serve() -> None:
        with suppress(OSError):
            while True:
                plain, _ = server.accept()
                with suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
                    stream = connection.makefile("rb")
                    while count := _number(stream):
                        found.lines.append(stream.read(count))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def _number(stream: object) -> int:
    digits = b""
    while (one := stream.read(1)) not in (b" ", b""):  # type: ignore[attr-defined]
        digits += one
    return int(digits or b"0")


def _collecting(hospital: Hospital, port: int) -> None:
    authority = str(hospital.house.settings.tls / "federation-ca.crt")
    settings = replace(hospital.house.settings, atna=Atna("127.0.0.1", port, authority))
    hospital.house = replace(hospital.house, settings=settings)


def test_every_row_arrives_once_and_in_its_order(lab: Lab) -> None:
    (bac_ninh,) = lab.hospitals("bac-ninh")
    assert deliver_record(bac_ninh.house) == 0, "off unless it is configured"
    bac_ninh.publishes(ct_report(LAN))
    bac_ninh.finds_own_documents(LAN)
    bac_ninh.seals()
    with collector(bac_ninh) as found:
        _collecting(bac_ninh, found.port)
        sent = deliver_record(bac_ninh.house)
        assert sent == len(bac_ninh.record) and deliver_record(bac_ninh.house) == 0
        assert until(lambda: len(found.lines) == sent)
    with bac_ninh.house.storage.read() as unit:
        wanted = [audit_message(row, home=bac_ninh.home) for _, row in unit.disclosures.sealed_rows(0, sent)]
    assert [line[line.index(b"<?xml") :] for line in found.lines] == wanted
    for line in found.lines:
        assert line.startswith(b"<85>1 ") and b" hie-node " in line and b" IHE+RFC-3881 - " in line
        assert LAN.name.encode() not in line
        root = etree.fromstring(line[line.index(b"<?xml") :])
        assert [child.tag for child in root][:1] == ["EventIdentification"]
        assert root.find("AuditSourceIdentification").get("AuditSourceID") == str(bac_ninh.home)
    query = next(one for one in found.lines if b"ITI-67" in one)
    assert b'csd-code="110112"' in query and bac_ninh.number_of(LAN).value.encode() in query


def test_a_collector_that_is_away_or_a_stranger_loses_nothing(lab: Lab) -> None:
    bac_ninh, _ = lab.hospitals("bac-ninh", "bach-mai")
    bac_ninh.publishes(ct_report(LAN))
    bac_ninh.seals()
    with collector(bac_ninh) as found:
        port = found.port
    _collecting(bac_ninh, port)
    assert deliver_record(bac_ninh.house) == 0, "away"
    with collector(bac_ninh) as found:
        _collecting(bac_ninh, found.port)
        trusted = bac_ninh.house
        stranger = replace(trusted.settings, atna=replace(trusted.settings.atna, authority=""))
        bac_ninh.house = replace(trusted, settings=stranger)
        assert deliver_record(bac_ninh.house) == 0 and found.lines == [], "signed by nobody that this machine trusts"
        bac_ninh.house = trusted
        assert deliver_record(bac_ninh.house) == len(bac_ninh.record)
