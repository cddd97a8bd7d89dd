"""Storage commitment, told: where the modality listens, tried a few times, or back over its own association.

Source: DICOM PS3.4: J.3.3 (N-EVENT-REPORT), IHE RAD TF-2: 4.10.
"""

from __future__ import annotations

import asyncio

from adapters.dicom.dictionary import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from adapters.dicom.network.commands import Request, Status, write_command
from adapters.dicom.network.commitment import ALL_KEPT, SOME_MISSING, Commitment, write_report
from adapters.dicom.network.errors import NetworkFault
from adapters.dicom.network.pdu import Context, Role
from adapters.dicom.network.services import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from hie_node import log
from hie_node.dimse.association import Aborted, Association
from hie_node.dimse.calling import call
from hie_node.setting_tables import DicomSystem
from hie_node.settings import Settings
from registry.commands import Kept

PAUSES = (0.5, 5.0, 60.0)
"""Seconds before each try: the modality first ends the association on which it asked."""


async def report(settings: Settings, system: DicomSystem, asked: Commitment, kept: Kept) -> None:
    """Tell it where it listens. Who never hears of it asks again; that is what the standard expects."""
    context = Context(1, STORAGE_COMMITMENT, (EXPLICIT_LITTLE, IMPLICIT_LITTLE))
    for pause in PAUSES:
        await asyncio.sleep(pause)
        try:
            line = await call(settings, system, [context], roles={STORAGE_COMMITMENT: Role(scu=False, scp=True)})
            if line.contexts:
                await report_over(line, line.contexts[1], asked, kept)
            await line.release()
            return
        except (Aborted, NetworkFault) as trouble:
            log.warning("storage commitment not told", reason=type(trouble).__name__)


async def report_over(line: Association, context: Context, asked: Commitment, kept: Kept) -> None:
    """Tell it over this association. Raises Aborted."""
    command = write_command(
        Request.EVENT_REPORT,
        AffectedSOPClassUID=STORAGE_COMMITMENT,
        MessageID=1,
        CommandDataSetType=1,
        AffectedSOPInstanceUID=STORAGE_COMMITMENT_INSTANCE,
        EventTypeID=SOME_MISSING if kept.missing or kept.conflicting else ALL_KEPT,
    )
    failed = [(each, Status.NO_SUCH_INSTANCE) for each in kept.missing]
    failed += [(each, Status.CLASS_INSTANCE_CONFLICT) for each in kept.conflicting]
    await line.send(context, command, write_report(asked, kept.kept, failed, transfer_syntax=context.transfer_syntax))
    await line.receive()
