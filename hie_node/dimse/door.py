"""The DICOM port: accepts associations of known systems, and keeps the slow from the quick.

One process, one loop: a silent or endless system costs a socket and a bounded piece of memory, no thread and nobody
else's time. When all places are taken, the association that was silent longest makes room.

Source: DICOM PS3.8: 9.2 (state machine), 9.3 (PDUs), PS3.15 Annex B (TLS).
"""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop

from adapters.dicom.network import pdu
from adapters.dicom.network.errors import NetworkFault
from adapters.dicom.network.pdu import APPLICATION_CONTEXT, Associate, Kind, Rejection
from adapters.dicom.network.services import answer
from hie_node import log, metrics
from hie_node.dimse.association import Aborted, Association, HungUp, Pace
from hie_node.dimse.services import Called, Services
from hie_node.edge.listeners import ServerTls
from hie_node.edge.server import raise_descriptor_limit
from hie_node.house import House
from hie_node.line_door import serve_until_stopped
from hie_node.setting_tables import Dicom, DicomSystem
from hie_node.settings import Settings

BUFFER = 64 << 10
GRACE_SECONDS = 8.0


class DicomServer:
    """All associations of the door."""

    def __init__(self, house: House) -> None:
        self._settings, self._bounds = house.settings, house.settings.dicom
        self._pool = ThreadPoolExecutor(self._bounds.threads, thread_name_prefix="dicom")
        self._services = Services(house, self._pool)
        self._lines: dict[Association, asyncio.Task[None]] = {}
        self._busy: set[Association] = set()
        self._stopping = False

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its beginning to its end."""
        if len(self._lines) >= self._bounds.associations and not self._make_room():
            # all of them are at work; who calls now is told to come again
            writer.write(pdu.rejected(Rejection.BUSY))
            writer.close()
            return
        line = Association(
            reader,
            writer,
            spool=str(self._settings.spool),
            object_limit=self._settings.limits.file_body,
            pace=Pace(self._bounds.pdu_seconds, self._bounds.message_seconds, self._bounds.idle_seconds),
        )
        task = asyncio.current_task()
        assert task is not None
        self._lines[line] = task
        metrics.DICOM_OPEN.inc()
        peer = writer.get_extra_info("peername")
        try:
            await self._talk(line, str(peer[0]) if peer else "")
        except HungUp:
            pass
        except Aborted as end:
            metrics.DICOM_ENDED.labels("aborted").inc()
            log.event("dicom association ended", reason=str(end))
        except NetworkFault as fault:
            metrics.DICOM_ENDED.labels("fault").inc()
            log.warning("dicom association aborted", reason=str(fault))
            await line.abort(fault)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs this association and no other
            log.fault("dicom", error, "")
            await line.abort()
        finally:
            metrics.DICOM_OPEN.dec()
            self._lines.pop(line, None)
            self._busy.discard(line)
            line.close()

    def _make_room(self) -> bool:
        """The one that was silent longest goes; a modality associates again when it has something to say."""
        idle = [line for line in self._lines if line not in self._busy]
        oldest = min(idle, key=lambda line: line.heard, default=None)
        if oldest is None:
            return False
        metrics.DICOM_ENDED.labels("room").inc()
        oldest.break_off()
        return True

    async def _talk(self, line: Association, address: str) -> None:
        called = await self._associated(line, address)
        if called is None:
            return
        while not self._stopping and (message := await line.receive()) is not None:
            self._busy.add(line)
            await self._services.answer(line, message, called)
            self._busy.discard(line)
        if not self._stopping:
            self._busy.add(line)
            await self._services.settle()
            await line.released()

    async def _associated(self, line: Association, address: str) -> Called | None:
        """Who calls, once the association stands; None where it was rejected."""
        kind, body = await line.pdu(within=self._bounds.associate_seconds)
        if kind is not Kind.ASSOCIATE_RQ:
            raise Aborted("speaks before it associates")
        asked = pdu.read_associate(body)
        why = self._objection(asked, address)
        if why is not None:
            metrics.DICOM_ENDED.labels("rejected").inc()
            log.warning("dicom association rejected", reason=why.name.lower())
            await line.write(pdu.rejected(why))
            return None
        accepted = answer(asked, title=self._settings.dicom_aet)
        proposed = {context.id: context for context in asked.contexts}
        line.contexts = {c.id: c for c in accepted.contexts if not c.result and c.id in proposed}
        line.longest = asked.longest
        await line.write(pdu.write_associate(Kind.ASSOCIATE_AC, accepted))
        return Called(asked.calling, self._system(asked.calling, address))

    def _objection(self, asked: Associate, address: str) -> Rejection | None:
        if not asked.version & 1:
            return Rejection.PROTOCOL_VERSION
        if asked.application_context != APPLICATION_CONTEXT:
            return Rejection.APPLICATION_CONTEXT
        if asked.called != self._settings.dicom_aet:
            return Rejection.CALLED_AE
        if self._bounds.systems and self._system(asked.calling, address) is None:
            return Rejection.CALLING_AE
        return None

    def _system(self, title: str, address: str) -> DicomSystem | None:
        """The listed system that calls by this name from this place."""
        return next((each for each in self._bounds.systems if each.is_calling(title, address)), None)

    async def close(self) -> None:
        """Whatever is worked on is finished and answered, within the grace; everybody else is sent away."""
        self._stopping = True
        for line in list(self._lines):
            if line not in self._busy:
                line.break_off()
        if self._lines:
            await asyncio.wait(list(self._lines.values()), timeout=GRACE_SECONDS)
        for line in list(self._lines):
            line.break_off()
        await self._services.close()
        self._pool.shutdown(wait=False, cancel_futures=True)


def run_dicom(house: House, listening: socket.socket) -> None:
    """Serve until SIGTERM. Meant as the `run` of a supervised child."""
    raise_descriptor_limit()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(house, listening))


async def _serve(house: House, listening: socket.socket) -> None:
    door = DicomServer(house)
    await serve_until_stopped(door, listening, tls=_tls(house.settings), buffer=BUFFER)


def _tls(settings: Settings) -> ServerTls | None:
    bounds: Dicom = settings.dicom
    if not bounds.tls:
        return None
    signers = settings.home / Path(bounds.client_authority) if bounds.client_authority else None
    return ServerTls(settings.tls / "house.crt", settings.tls / "house.key", signers)
