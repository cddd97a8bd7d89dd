"""What the rules refuse as input. A refusal of access is a `Decision`, never an exception.

ConsentError
├── InvalidConsent          a consent that its profile does not allow
│   ├── EvidenceMissing     a permission without the patient's written request behind it
│   └── RepresentativeMissing  a permission of a child that nobody signed for
├── EmergencyRefused        an emergency, or a review of one, that this person may not declare
├── ErasureRefused          who may not erase a patient
├── ReleaseRefused          who may not say that a text that was held back may leave
├── SubscriptionRefused     a standing question that cannot be kept as it is put
├── QuotaReached            more different patients today than one person or hospital may open
├── InvalidReceipt          a receipt that cannot be honoured: signature, parties, scope or time
└── TokenRefused            who asks could not be established
    ├── TokenReplayed       a token that was used before
    └── ScopeMissing        a good token that does not reach this far
"""

from __future__ import annotations


class ConsentError(Exception):
    """Base of what the rules refuse as input."""


class InvalidConsent(ConsentError):
    """A consent that its profile does not allow (IHE PCF 1.1)."""

    def __init__(self, element: str, expected: str) -> None:
        self.element, self.expected = element, expected
        super().__init__(f"{element}: expected {expected}; nothing was stored")


class EvidenceMissing(InvalidConsent):
    """A permission without the written request of the patient behind it (Law 91/2025/QH15 Art. 26)."""

    def __init__(self) -> None:
        super().__init__("Consent.source[x]", "the signed written request of the patient")


class RepresentativeMissing(InvalidConsent):
    """A child does not sign alone (decree 356/2025/NĐ-CP)."""

    def __init__(self) -> None:
        super().__init__("Consent.performer", "the representative who signed, since this patient is a child")


class EmergencyRefused(ConsentError):
    """An emergency, or the review of one, that this person may not declare; `reason` says why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"emergency access: {_WHY_NOT.get(reason, reason)}; nothing was opened")


_WHY_NOT = {
    "no-officer": "off, since no data_protection_officer is named in node.toml",
    "role": "only a doctor or a nurse may declare it",
    "not-the-officer": "only the data protection officer reviews it",
    "own-declaration": "nobody reviews what they declared themselves",
}


class ErasureRefused(ConsentError):
    """Only the data protection officer erases a patient."""

    def __init__(self) -> None:
        super().__init__("only the data protection officer erases a patient; nothing was changed")


class ReleaseRefused(ConsentError):
    """Only a doctor and the data protection officer read what the closed lists hold back."""

    def __init__(self) -> None:
        super().__init__("only a doctor or the data protection officer releases a text; nothing was changed")


class SubscriptionRefused(ConsentError):
    """A standing question that cannot be kept as it is put."""

    def __init__(self, element: str, expected: str) -> None:
        self.element, self.expected = element, expected
        super().__init__(f"{element}: expected {expected}; nothing was stored")


class QuotaReached(ConsentError):
    """More different patients today than one person or hospital may open; somebody is told, and may raise it."""

    def __init__(self) -> None:
        super().__init__("the number of patients for one day is reached; the administrator knows")


class InvalidReceipt(ConsentError):
    """A receipt that cannot be honoured; `reason` is a short code for the record, not for outsiders."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"receipt: {reason}")


class TokenRefused(ConsentError):
    """Who asks could not be established; `reason` names the check that failed."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"token: {reason}")


class TokenReplayed(TokenRefused):
    """A token that was used before."""

    def __init__(self) -> None:
        super().__init__("used before")


class ScopeMissing(TokenRefused):
    """A good token that does not reach this far (RFC 6750 section 3.1, insufficient_scope)."""

    def __init__(self) -> None:
        super().__init__("scope")
