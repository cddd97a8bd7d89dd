"""Another hospital describes a patient and asks for the number here: told only where something could be shown.

Without the patient's request the answer is the same, whether they are known here or not.

Source: IHE ITI TF-2: 3.55.4.2.2.1 (cases)
"""

from __future__ import annotations

from datetime import timedelta

from adapters.store.unit import UnitOfWork
from consent.reasons import Reason
from hie_node.acts import Act
from hie_node.flows.identify import Identified, by_description
from hie_node.flows.identity_changes import note_learner
from hie_node.flows.permission import carries_a_request, consents_for
from registry.commands import Discovered, DiscoverPatient
from registry.errors import NotUnique
from registry.ports import Correlation


def discover(act: Act, command: DiscoverPatient) -> Discovered:
    """ITI-55 at the peer door."""
    with act.unit() as unit:
        try:
            person = by_description(unit, command.wanted, act.house.matcher)
        except NotUnique:
            act.refused(Reason.NOT_ONE_PERSON)
            return Discovered(None, ambiguous=carries_a_request(act, unit, command.wanted))
        if person is None:
            act.refused(Reason.NOT_HERE)
            return Discovered(None)
        act.about(person.first)
        if not act.may_show_something(consents_for(act, unit, person)):
            act.refused(Reason.NO_WRITTEN_REQUEST)
            return Discovered(None)
        told = _tell(act, unit, person)
        note_learner(act, unit, person, (*command.wanted.identifiers, told.number))
        return Discovered(told.number)


def _tell(act: Act, unit: UnitOfWork, person: Identified) -> Correlation:
    """The number, and that it was told: for a while it may stand alone in the questions of that hospital."""
    expires = act.now + timedelta(hours=act.house.settings.limits.correlation)
    record = person.first
    told = Correlation(act.caller.requester.home, True, record.identifier, record.id, "", expires)
    unit.correlations.keep(told)
    act.items.append(record.id)
    return told
