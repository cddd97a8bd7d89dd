"""What is wrong with what came over an association.

NetworkFault
├── BadPdu         the upper layer: a PDU that is unknown, malformed or longer than was agreed; ends the association
├── BadCommand     a message whose command cannot be read or makes no sense here; ends the association
└── Refused        one request is answered with a status, and the association goes on
"""

from __future__ import annotations


class NetworkFault(Exception):
    """Base of what only this language refuses."""


class BadPdu(NetworkFault):
    """A PDU that is unknown, malformed or longer than was agreed. `reason` as PS3.8 Table 9-26 counts them."""

    def __init__(self, text: str, *, reason: int = 6) -> None:
        self.reason = reason
        super().__init__(text)


class BadCommand(NetworkFault):
    """A message whose command cannot be read or makes no sense at this place."""


class Refused(NetworkFault):
    """One request is answered with `status`; `text` names a rule and no value."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text
        super().__init__(f"{status:04X}: {text}")
