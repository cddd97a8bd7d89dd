"""Associations that this node opens: to where a C-MOVE sends, and to who asked whether its objects are kept.

Source: DICOM PS3.8: 9.2 (requestor), PS3.7: D.3.3 (role selection).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence

from adapters.dicom.network import pdu
from adapters.dicom.network.errors import BadPdu
from adapters.dicom.network.pdu import Associate, Context, Kind, Role
from hie_node.dimse.association import Aborted, Association, Pace
from hie_node.setting_tables import DicomSystem
from hie_node.settings import Settings

CALL_SECONDS = 10.0
BUFFER = 64 << 10


async def call(
    settings: Settings, system: DicomSystem, contexts: Sequence[Context], *, roles: Mapping[str, Role] | None = None
) -> Association:
    """An association with a system where it listens. Raises Aborted where it cannot be had."""
    tls = _context(settings) if system.tls else None
    try:
        async with asyncio.timeout(CALL_SECONDS):
            reader, writer = await asyncio.open_connection(system.host, system.port, limit=BUFFER, ssl=tls)
    except (OSError, TimeoutError, ssl.SSLError) as error:
        raise Aborted(type(error).__name__) from error
    bounds = settings.dicom
    line = Association(
        reader,
        writer,
        spool=str(settings.spool),
        object_limit=settings.limits.file_body,
        pace=Pace(bounds.pdu_seconds, bounds.message_seconds, bounds.idle_seconds),
    )
    asked = Associate(system.ae_title, settings.dicom_aet, tuple(contexts), dict(roles or {}))
    try:
        await _agree(line, asked)
    except (Aborted, BadPdu) as error:
        line.close()
        raise Aborted("no association") from error
    return line


async def _agree(line: Association, asked: Associate) -> None:
    await line.write(pdu.write_associate(Kind.ASSOCIATE_RQ, asked))
    kind, body = await line.pdu(within=CALL_SECONDS)
    if kind is not Kind.ASSOCIATE_AC:
        raise Aborted("rejected")
    said = pdu.read_associate(body)
    accepted = {context.id: context for context in said.contexts if not context.result and context.transfer_syntaxes}
    line.longest = said.longest
    line.contexts = {
        context.id: Context(context.id, context.abstract_syntax, accepted[context.id].transfer_syntaxes)
        for context in asked.contexts
        if context.id in accepted and accepted[context.id].transfer_syntax in context.transfer_syntaxes
    }


def _context(settings: Settings) -> ssl.SSLContext:
    """This hospital's own certificate is shown; the other's has to be of the authority that the settings name."""
    authority = settings.dicom.client_authority or "tls/federation-ca.crt"
    context = ssl.create_default_context(cafile=str(settings.home / authority))
    context.load_cert_chain(settings.tls / "house.crt", settings.tls / "house.key")
    return context
