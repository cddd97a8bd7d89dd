"""What happened to a patient at one hospital, before any system has written it down."""

from dataclasses import dataclass
from datetime import date, datetime

from hie_node.lab.reception import Registration
from hie_node.lab.reports import ExaminationKind, ReportText, Service


@dataclass(frozen=True, slots=True)
class Practitioner:
    """A doctor: orders carry the practice licence, certificates the social-insurance number (QĐ 4750)."""

    name: str
    licence: str
    social_number: str


@dataclass(frozen=True, slots=True)
class Examination:
    """One CT or MRI: ordered, performed and reported at three different times, all aware."""

    kind: ExaminationKind
    service: Service
    report: ReportText
    ordered: datetime
    performed: datetime
    reported: datetime
    accession_number: str
    machine: str
    reader: Practitioner


@dataclass(frozen=True, slots=True)
class LabResult:
    """One laboratory value with the service it belongs to."""

    service: Service
    indicator: str
    value: str
    unit: str
    resulted: datetime


@dataclass(frozen=True, slots=True)
class Medicine:
    """One prescribed medicine; price per unit in đồng."""

    code: str
    name: str
    unit: str
    strength: str
    route: str
    dose: str
    quantity: int
    price: int


@dataclass(frozen=True, slots=True)
class Referral:
    """The slip a patient is sent on with: to which facility, and what the sending doctor wrote.

    reason_code  1 conditions for referral met, 2 beyond the capability of the facility, 3 on request
    """

    to_facility: str
    slip_number: str
    signs: str
    course: str
    results: str
    direction: str
    transport: str
    reason_code: int = 1


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit or stay at one facility.

    episode_key     unique within the facility; joins all tables of the visit
    patient_number  the facility's own
    care_form       "01" examination, "03" inpatient
    route           category of arrival: "1.1" registered here, "1.3" with a slip, "9" uninsured
    admitted        only for inpatients
    course          what was noted and when
    referred_from   the facility whose slip the patient brought
    """

    episode_key: str
    facility_code: str
    patient_number: str
    registration: Registration
    arrived: datetime
    left: datetime
    reason: str
    icd10: str
    diagnosis: str
    route: str
    department: str
    doctor: Practitioner
    head: Practitioner
    care_form: str = "01"
    admitted: datetime | None = None
    other_icd10: tuple[str, ...] = ()
    outcome: int = 2
    weight_kg: float = 55.0
    examinations: tuple[Examination, ...] = ()
    lab_results: tuple[LabResult, ...] = ()
    medicines: tuple[Medicine, ...] = ()
    course: tuple[tuple[datetime, str], ...] = ()
    referred_from: str | None = None
    referral: Referral | None = None
    card_valid: tuple[date, date] = (date(2026, 1, 1), date(2026, 12, 31))

    @property
    def inpatient(self) -> bool:
        return self.admitted is not None

    @property
    def days(self) -> int:
        """Days of treatment; an examination counts as one."""
        return max(1, (self.left.date() - self.arrived.date()).days)
