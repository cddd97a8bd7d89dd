"""How a hospital answered one question: what became of it and how long it took, and nothing of whom it was about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from registry.answers import OutcomeKind
from registry.identifiers import HomeCommunityId


@dataclass(frozen=True, slots=True)
class Answered:
    """`seconds` from the question to the end of the answer; 0 where nothing was heard."""

    home: HomeCommunityId
    kind: OutcomeKind
    at: datetime
    seconds: float = 0.0
