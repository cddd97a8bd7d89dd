"""Why something may be seen or not, as codes for the record of disclosures."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why it was decided so."""

    OWN_HOSPITAL = "own-hospital"
    WRITTEN_REQUEST = "written-request"
    EMERGENCY = "emergency-access"
    PATIENT_REFUSED = "patient-refused"
    NO_WRITTEN_REQUEST = "no-written-request"
    CLOSED_LIST = "closed-list"
    UNREVIEWED_TEXT = "unreviewed-text"
    STAYS_HERE = "stays-here"
    PURPOSE = "purpose-not-allowed"
    ROLE = "role-not-allowed"
    NOT_ONE_PERSON = "not-one-person"
    NOT_HERE = "not-here"
    QUOTA = "quota"
    OUTSIDE = "outside-the-token"
