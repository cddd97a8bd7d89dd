"""ITI-55 with deferred response, the answer: a message of its own from the hospital that was asked.

It has to name the question twice as the profile has it, by the message that it answers and by its query.

Source: IHE ITI TF-2: 3.55.6.2 (Deferred Response option)
"""

from __future__ import annotations

from adapters.peers.answers import BadAnswer
from adapters.peers.xca_client import told_in
from adapters.soap.errors import V3Refusal
from adapters.soap.hl7v3 import h
from adapters.soap.iti55_deferred import ANSWER, encode, error
from adapters.soap.iti55_patient_discovery import INTERACTION
from adapters.soap.messages import payload
from adapters.soap.names import HL7
from adapters.transactions import PEER, Transaction
from adapters.wire import WireRequest
from registry.commands import TakeDiscovery

_NOTHING = "nothing was kept"


def decode(request: WireRequest) -> TakeDiscovery:
    message = payload(request, HL7, INTERACTION)
    named = h(message.body, "acknowledgement/targetMessage/id"), h(message.body, "controlActProcess/queryAck/queryId")
    questions = {"" if one is None else one.get("root", "").lower() for one in named}
    if len(questions) != 1 or not all(questions):
        raise V3Refusal(f"targetMessage and queryId: expected the ids of one question; {_NOTHING}", number=101)
    try:
        told, community = told_in(message.body)
    except BadAnswer as error:
        raise V3Refusal(f"registrationEvent: expected a number and its community; {_NOTHING}") from error
    return TakeDiscovery(questions.pop(), told, community)


TRANSACTION = Transaction(
    "ITI-55-deferred-answer",
    "Cross Gateway Patient Discovery, the answer to a question of ours",
    source="IHE ITI TF-2: 3.55.6.2",
    route=("POST", "/"),
    action=ANSWER,
    command=TakeDiscovery,
    decode=decode,
    encode=encode,
    error=error,
    scope=("Patient", "u"),
    doors=PEER,
    family="xcpd",
    discloses=False,
)
