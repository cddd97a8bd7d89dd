"""A stored query at the initiating gateway: of this registry, and of the other communities as the query lets them go.

A query that starts from a patient goes to all of them, or to the one that it names; one that starts from objects to
the community that listed them here, for the patient of whom it listed them. What was never listed cannot be asked for.

Source: IHE ITI TF-2: 3.18.4.1.3, 3.38.4.1.2 (a query that starts from objects names their community)
"""

from __future__ import annotations

from dataclasses import replace

from hie_node.acts import Act
from hie_node.flows.query_network import ask_communities
from hie_node.flows.query_registry import query_registry
from registry.commands import QueryRegistry
from registry.errors import NoSuchCommunity
from registry.holdings import Holdings, NetworkHoldings
from registry.people import PatientInQuestion
from registry.searches import PatientSelector


def query_everywhere(act: Act, command: QueryRegistry) -> Holdings | NetworkHoldings:
    """ITI-18 at the gateway, all but the searches for documents of a patient."""
    if command.home == act.house.home:
        return query_registry(act, command)
    if not command.identifiers:
        return ask_communities(act, command, command.patient)
    return _where_they_were_listed(act, command)


def _where_they_were_listed(act: Act, command: QueryRegistry) -> NetworkHoldings:
    peer = act.house.directory.current().peer(command.home) if command.home else None
    if peer is None or not peer.active:
        raise NoSuchCommunity(str(command.home))
    named: dict[PatientInQuestion, list[str]] = {}
    with act.house.storage.read() as unit:
        for name in command.identifiers:
            listed = next((one for one in unit.remote.of_object(name) if one.home == command.home), None)
            if listed is not None:
                named.setdefault(listed.question, []).append(name)
    if not named:
        with act.unit():
            pass  # that something was asked for and is nowhere is on record too
        return NetworkHoldings((), (), never_listed=True)
    answers = [
        ask_communities(
            # another patient is another question, under an id of its own
            act if place == 0 else replace(act.fork(), exchange=""),
            command,
            PatientSelector(described=patient),
            tuple(identifiers),
        )
        for place, (patient, identifiers) in enumerate(named.items())
    ]
    outcomes = {one.kind: one for answer in answers for one in answer.outcomes}
    return NetworkHoldings(
        tuple(one for answer in answers for one in answer.found),
        tuple(outcomes.values()),
        persons=len(answers),
        only_listed=tuple(dict.fromkeys(home for answer in answers for home in answer.only_listed)),
        never_listed=sum(map(len, named.values())) < len(command.identifiers),
    )
