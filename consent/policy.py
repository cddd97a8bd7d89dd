"""What holds while the patient has said nothing: the base policy of one node."""

from __future__ import annotations

from dataclasses import dataclass

from consent.reasons import Reason
from consent.requesters import PurposeOfUse, Role

EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class BasePolicy:
    """The overarching policy of PCF for one node.

    own_purposes      what the own hospital may use its own records for without asking
    reading_roles     roles besides the treating ones that may read records here, for their tasks
    emergency_access  whether a declared emergency of another hospital is honoured (Art. 19 k1 a, b): only where a
                      data protection officer is named, who is told of each
    emergency_roles   who may declare one; a system does so for the person who uses it
    honoured          hospitals whose desks this one trusts to record a patient's request, by community or facility code
    """

    name: str
    own_purposes: frozenset[PurposeOfUse]
    reading_roles: frozenset[Role] = frozenset()
    emergency_access: bool = False
    emergency_roles: frozenset[Role] = frozenset({Role.DOCTOR, Role.NURSE, Role.SYSTEM})
    honoured: frozenset[str] = frozenset({EVERYBODY})

    def honours(self, *names: str) -> bool:
        """Whether requests that this hospital recorded count here; `names` are what it is known by."""
        return not self.honoured.isdisjoint({EVERYBODY, *names})

    @property
    def silence(self) -> Reason:
        """Why nothing goes to another hospital while the patient is silent."""
        return Reason.NO_WRITTEN_REQUEST


VIET_NAM = BasePolicy(
    name="viet-nam-2026",
    own_purposes=frozenset(
        {
            PurposeOfUse.TREAT,
            PurposeOfUse.ETREAT,
            PurposeOfUse.BTG,
            PurposeOfUse.COC,
            PurposeOfUse.HPAYMT,
            PurposeOfUse.HOPERAT,
            PurposeOfUse.PATRQT,
        }
    ),
    reading_roles=frozenset({Role.DATA_PROTECTION_OFFICER, Role.ADMINISTRATOR, Role.CONSENT_DESK, Role.REGISTRAR}),
    emergency_access=False,
)
"""No disclosure to another hospital without a written request or a listed exception; own treatment is free."""
