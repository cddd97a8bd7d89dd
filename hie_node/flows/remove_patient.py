"""A hospital's system takes a number out of use; what was recorded and disclosed under it keeps its subject."""

from __future__ import annotations

from dataclasses import replace

from hie_node.acts import Act
from registry.commands import Fed, RemovePatient
from registry.errors import ForeignDomain, NotFound


def remove_patient(act: Act, command: RemovePatient) -> Fed:
    """ITI-104 remove: the record is active no longer. The same again changes nothing."""
    if command.identifier.system != act.house.settings.patient_id_system:
        raise ForeignDomain(command.identifier.system)
    act.action, act.direction = "D", "changed"
    with act.unit() as unit:
        known = unit.patients.record(command.identifier)
        if known is None:
            raise NotFound("Patient")
        act.about(known)
        if not known.active:
            return Fed(known, created=False, changed=False)
        removed = replace(known, active=False, version=known.version + 1, updated=act.now)
        unit.patients.save(removed)
        return Fed(removed, created=False, changed=True)
