"""The record of who saw, or wanted to see, what: one row a patient and request, written with the decision itself.

Source: IHE BALP 1.1.4 (AuditEvent patterns), IHE ITI TF-2: 3.20. Subjects appear by identifier, never by name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from consent.merkle import leaf_hash
from consent.requesters import PurposeOfUse, Requester, Role
from registry.identifiers import HomeCommunityId, PatientIdentifier

Direction = Literal["disclosed", "refused", "asked", "received", "changed", "published"]
Action = Literal["C", "R", "U", "D", "E"]
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One act: what was asked, by whom, about whom, what was decided and why.

    direction    `disclosed` and `refused` at the holder; `asked` and `received` at the asking hospital;
                 `published` and `changed` where something was recorded
    transaction  the name of the transaction: ITI-67, WADO-RS …
    record_id    the source record it is about; None where nobody was found
    items        registry ids of what was shown or changed
    reasons      reason codes with their counts, e.g. {"own-hospital": 3}
    other        the hospital on the other side
    exchange     the id that both sides record, so that they can be reconciled: the token id of the question
    complete     False for a transfer that broke off
    """

    id: str
    recorded: datetime
    direction: Direction
    action: Action
    transaction: str
    requester: Requester
    patient: PatientIdentifier | None = None
    record_id: str | None = None
    items: tuple[str, ...] = ()
    reasons: dict[str, int] = field(default_factory=dict)
    consents: tuple[str, ...] = ()
    other: HomeCommunityId | None = None
    exchange: str = ""
    outcome: int = 0
    complete: bool = True
    bytes_sent: int | None = None
    query: str = ""

    def canonical(self) -> bytes:
        """The bytes that are sealed: JSON with sorted names, times in UTC to the microsecond, no floats."""
        return _CANONICAL.encode(self.as_json()).encode()

    def leaf(self) -> bytes:
        """The hash of this row in the sealed log."""
        return leaf_hash(self.canonical())

    def as_json(self) -> dict[str, Any]:
        """All of it as plain values; `from_json` reads it back."""
        return {
            "id": self.id,
            "recorded": _moment(self.recorded),
            "direction": self.direction,
            "action": self.action,
            "transaction": self.transaction,
            "requester": _requester_json(self.requester),
            "patient": [self.patient.system, self.patient.value] if self.patient else None,
            "record_id": self.record_id,
            "items": list(self.items),
            "reasons": dict(self.reasons),
            "consents": list(self.consents),
            "other": str(self.other) if self.other else None,
            "exchange": self.exchange,
            "outcome": self.outcome,
            "complete": self.complete,
            "bytes_sent": self.bytes_sent,
            "query": self.query,
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> Disclosure:
        """Read back what `as_json` gave."""
        return Disclosure(
            id=value["id"],
            recorded=datetime.fromisoformat(value["recorded"]),
            direction=value["direction"],
            action=value["action"],
            transaction=value["transaction"],
            requester=_requester(value["requester"]),
            patient=PatientIdentifier(*value["patient"]) if value["patient"] else None,
            record_id=value["record_id"],
            items=tuple(value["items"]),
            reasons=value["reasons"],
            consents=tuple(value["consents"]),
            other=HomeCommunityId(value["other"]) if value["other"] else None,
            exchange=value["exchange"],
            outcome=value["outcome"],
            complete=value["complete"],
            bytes_sent=value["bytes_sent"],
            query=value["query"],
        )


def _requester_json(requester: Requester) -> dict[str, str]:
    return {
        "subject": requester.subject,
        "role": requester.role.value,
        "home": str(requester.home),
        "name": requester.name,
        "organization": requester.organization,
        "purpose": requester.purpose.value,
        "reason": requester.reason,
        "client_id": requester.client_id,
        "token_id": requester.token_id,
        **({"declared": _moment(requester.declared)} if requester.declared else {}),
    }


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="microseconds")


def _requester(value: dict[str, str]) -> Requester:
    return Requester(
        subject=value["subject"],
        role=Role(value["role"]),
        home=HomeCommunityId(value["home"]),
        name=value["name"],
        organization=value["organization"],
        purpose=PurposeOfUse(value["purpose"]),
        reason=value["reason"],
        client_id=value["client_id"],
        token_id=value["token_id"],
        declared=datetime.fromisoformat(value["declared"]) if "declared" in value else None,
    )
