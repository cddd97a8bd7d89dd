"""A year in an invented province: people fall ill, are scanned, are referred to Bạch Mai, are scanned again.

`plan` decides all of it from a seed; `write` leaves in a folder what one hospital's systems would emit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from random import Random

from hie_node.lab.emission import Written, write
from hie_node.lab.hospitals import HOSPITALS, Hospital, Patient, Province, Story
from hie_node.lab.package import table
from hie_node.lab.people import TODAY, Address, SyntheticPerson, household_of, people
from hie_node.lab.reception import NO_DIRT, TYPICAL_DIRT, Registration, as_registered
from hie_node.lab.reports import ExaminationKind, Service, examination_kinds, report
from hie_node.lab.visits import Examination, LabResult, Medicine, Referral, Visit
from registry.local_time import VIET_NAM

__all__ = ["Province", "Written", "plan", "write"]

"""Asia/Ho_Chi_Minh keeps no daylight saving time."""

_REFERRED = {"bac-ninh": 0.4, "thai-nguyen": 0.25}
"""Which share of a hospital's patients is sent on to Bạch Mai."""

_LABS = (
    (Service("23.0075.1494", "Định lượng Glucose [Máu]", 22_400), "Glucose", "mmol/L", 4.1, 9.8),
    (Service("23.0051.1494", "Định lượng Creatinin (máu)", 22_400), "Creatinin", "µmol/L", 52.0, 118.0),
    (Service("23.0166.1494", "Định lượng Urê máu [Máu]", 22_400), "Urê", "mmol/L", 2.8, 8.1),
)
_MEDICINES = (
    Medicine("40.2", "Paracetamol", "Viên", "500mg", "1.01", "1 viên/lần x 2 lần/ngày", 10, 480),
    Medicine("40.491", "Amlodipin", "Viên", "5mg", "1.01", "1 viên/lần x 1 lần/ngày", 14, 650),
    Medicine("40.677", "Omeprazol", "Viên", "20mg", "1.01", "1 viên/lần x 1 lần/ngày", 14, 890),
)


_BY_FACILITY = {hospital.facility_code: key for key, hospital in HOSPITALS.items()}


def plan(seed: int, count: int = 300) -> Province:
    """Who is known where and what happened: some `count` lines in three patient lists, equal for a seed."""
    return _Planner(seed, max(6, count // 3)).province()


@dataclass(frozen=True, slots=True)
class _Stay:
    """When and why somebody came."""

    arrived: datetime
    kind: ExaminationKind | None
    referred_from: str | None = None


class _Planner:
    """Draws one province; every list of a hospital is about `each` patients long."""

    def __init__(self, seed: int, each: int) -> None:
        self._seed, self._each = seed, each
        self._rng = Random(f"province/{seed}")  # noqa: S311
        self._neighbours: dict[int, list[SyntheticPerson]] = {}
        self._patients: list[Patient] = []
        self._visits: dict[str, list[Visit]] = {key: [] for key in HOSPITALS}
        self._examinations = 0

    def province(self) -> Province:
        population = {key: self._population(key, offset) for offset, key in enumerate(("bac-ninh", "thai-nguyen"))}
        story = self._story()
        for key, inhabitants in population.items():
            for person in self._rng.sample(inhabitants, self._each - 1):
                self._at_home(person, HOSPITALS[key])
        rest = self._each - sum(patient.hospital == "bach-mai" for patient in self._patients)
        hanoi = self._population("ha-noi", 2)
        for person in self._rng.sample(hanoi, max(0, rest)):
            self._at_home(person, HOSPITALS["bach-mai"])
        everyone = {patient.registration.truth.key: patient.registration.truth for patient in self._patients}
        return Province(
            seed=self._seed,
            hospitals=HOSPITALS,
            people=tuple(everyone.values()),
            patients=tuple(self._patients),
            visits={key: tuple(sorted(visits, key=lambda one: one.left)) for key, visits in self._visits.items()},
            story=story,
        )

    def _population(self, province: str, offset: int) -> list[SyntheticPerson]:
        """Twice as many people as are needed, with keys that no other province uses."""
        shift = (offset + 1) * 1_000_000
        found = [
            replace(
                person,
                key=person.key + shift,
                household_id=person.household_id + shift,
                twin_key=person.twin_key if person.twin_key is None else person.twin_key + shift,
            )
            for person in people(2 * self._each, self._seed, province)
        ]
        for person in found:
            self._neighbours.setdefault(person.household_id, []).append(person)
        return found

    # who is registered where

    def _register(self, hospital: Hospital, registration: Registration) -> Patient:
        known = sum(patient.hospital == hospital.key for patient in self._patients)
        patient = Patient(hospital.key, hospital.number_format.format(hospital.first_number + 37 * known), registration)
        self._patients.append(patient)
        return patient

    def _typed(self, person: SyntheticPerson) -> Registration:
        roof = self._neighbours.get(person.household_id, [])
        others = household_of(person, roof)
        return as_registered(person, self._rng, TYPICAL_DIRT, household=others)

    def _at_home(self, person: SyntheticPerson, hospital: Hospital) -> None:
        """One or two visits at the nearest hospital; some go on to Bạch Mai; half of those repeat."""
        patient = self._register(hospital, self._typed(person))
        for _ in range(self._rng.choices((1, 2), (7, 3))[0]):
            kind = self._kind(person) if self._rng.random() < 0.8 else None
            self._visit(patient, _Stay(self._morning(person), kind))
        if self._rng.random() < _REFERRED.get(hospital.key, 0.0):
            self._sent_on(patient, hospital)

    def _sent_on(self, patient: Patient, hospital: Hospital) -> None:
        person = patient.registration.truth
        kind = self._kind(person)
        sent = self._visit(patient, _Stay(self._morning(person), kind), refer=True)
        received = self._register(HOSPITALS["bach-mai"], self._typed(person))
        next_day = self._hour(sent.left.date() + timedelta(days=self._rng.randint(1, 4)))
        again = kind if self._rng.random() < 0.5 else None
        self._visit(received, _Stay(next_day, again, referred_from=hospital.facility_code))

    def _kind(self, person: SyntheticPerson) -> ExaminationKind | None:
        """Some CT or MRI; none for small children, whom the texts would not fit."""
        kind = self._rng.choice(list(examination_kinds().values()))
        return kind if person.age() >= 12 else None

    def _morning(self, person: SyntheticPerson) -> datetime:
        """Within a year or so, after the birth, and early enough for all that follows to be over."""
        longest = min(400, (TODAY - person.birth_date).days)
        return self._hour(TODAY - timedelta(days=self._rng.randint(min(24, longest), longest)))

    def _hour(self, day: date) -> datetime:
        return datetime.combine(day, time(self._rng.randint(7, 10), self._rng.randrange(60)), VIET_NAM)

    # what happened there

    def _visit(self, patient: Patient, stay: _Stay, *, refer: bool = False) -> Visit:
        hospital = HOSPITALS[patient.hospital]
        examinations = (self._examination(hospital, stay.kind, stay.arrived),) if stay.kind else ()
        visit = self._finish(patient, hospital, stay, examinations)
        if refer:
            visit = replace(visit, referral=self._slip(visit))
        self._visits[hospital.key].append(visit)
        return visit

    def _finish(
        self, patient: Patient, hospital: Hospital, stay: _Stay, examinations: tuple[Examination, ...]
    ) -> Visit:
        rng, arrived = self._rng, stay.arrived
        inpatient = rng.random() < 0.25
        done = max([arrived + timedelta(hours=1), *(one.reported for one in examinations)])
        left = done + timedelta(minutes=rng.randint(30, 120), days=rng.randint(2, 7) if inpatient else 0)
        said = examinations[0].report if examinations else None
        return Visit(
            episode_key=f"{hospital.facility_code}{arrived:%y%m%d}{sum(map(len, self._visits.values())):06d}",
            facility_code=hospital.facility_code,
            patient_number=patient.number,
            registration=patient.registration,
            arrived=arrived,
            left=left,
            reason=said.reason if said else "Khám kiểm tra định kỳ",
            icd10=said.icd10 if said else "I10",
            diagnosis=said.diagnosis if said else "Bệnh lý tăng huyết áp",
            other_icd10=("I10",) if said and rng.random() < 0.4 else (),
            route=self._route(patient, stay),
            department="K02",
            doctor=hospital.doctors[0],
            head=hospital.head,
            care_form="03" if inpatient else "01",
            admitted=arrived + timedelta(minutes=50) if inpatient else None,
            outcome=3 if inpatient and rng.random() < 0.2 else 2,
            weight_kg=round(rng.uniform(42, 78), 1),
            examinations=examinations,
            lab_results=self._labs(arrived + timedelta(hours=1)),
            medicines=tuple(rng.sample(_MEDICINES, rng.randint(1, 2))),
            course=self._course(arrived, left, inpatient=inpatient),
            referred_from=stay.referred_from,
        )

    def _route(self, patient: Patient, stay: _Stay) -> str:
        if patient.registration.insurance_number is None:
            return "9"
        return "1.3" if stay.referred_from else "1.1"

    def _examination(self, hospital: Hospital, kind: ExaminationKind, arrived: datetime) -> Examination:
        rng = self._rng
        self._examinations += 1
        ordered = arrived + timedelta(minutes=rng.randint(15, 40))
        performed = ordered + timedelta(minutes=rng.randint(20, 60))
        machine = "CL" if kind.modality == "CT" else "MRI"
        return Examination(
            kind=kind,
            service=kind.service(hospital.scanner),
            report=report(kind, rng),
            ordered=ordered,
            performed=performed,
            reported=performed + timedelta(minutes=rng.randint(25, 70)),
            accession_number=f"{hospital.facility_code[:2]}{arrived:%y%m%d}{self._examinations:05d}",
            machine=f"{machine}.1.LAB{hospital.facility_code[:2]}.1",
            reader=hospital.doctors[1],
        )

    def _labs(self, at: datetime) -> tuple[LabResult, ...]:
        chosen = self._rng.sample(_LABS, self._rng.randint(0, len(_LABS)))
        return tuple(
            LabResult(service, indicator, f"{self._rng.uniform(low, high):.1f}", unit, at)
            for service, indicator, unit, low, high in chosen
        )

    def _course(self, arrived: datetime, left: datetime, *, inpatient: bool) -> tuple[tuple[datetime, str], ...]:
        first = (
            arrived + timedelta(minutes=20),
            "Tỉnh, tiếp xúc tốt, huyết áp 130/80 mmHg, mạch 82 lần/phút",
        )
        last = (left - timedelta(minutes=30), "Ổn định, tự đi lại được, cho ra viện theo hẹn")
        return (first, last) if inpatient else (first,)

    def _slip(self, visit: Visit) -> Referral:
        return Referral(
            to_facility=HOSPITALS["bach-mai"].facility_code,
            slip_number=f"{len(self._visits[_BY_FACILITY[visit.facility_code]]) + 1:05d}/{visit.left:%Y}/GCT",
            signs=f"{visit.reason}. Tỉnh, huyết động ổn định.",
            course=f"Vào viện vì {visit.reason[:1].lower()}{visit.reason[1:]}, đã khám và làm cận lâm sàng.",
            results="; ".join(f"{one.kind.title}: {one.report.conclusion}" for one in visit.examinations),
            direction="Chuyển tuyến trên khám chuyên khoa và điều trị tiếp",
            transport="Xe cứu thương" if visit.inpatient else "Tự túc",
            reason_code=self._rng.choice((1, 1, 2)),
        )

    # the person the demonstration is about

    def _story(self) -> Story:
        person = _main_person()
        earlier = self._known(person, "thai-nguyen", {"old_address": 1.0, "new_card_prefix": 1.0})
        mri = self._visit(earlier, _Stay(_at(2026, 8, 14, 7, 35), examination_kinds()["mr-brain"]))
        sending = self._known(person, "bac-ninh", NO_DIRT)
        scanned = self._fixed_scan()
        stay = _Stay(_at(2026, 11, 2, 7, 50), scanned.kind)
        visit = self._finish(sending, HOSPITALS["bac-ninh"], stay, (scanned,))
        visit = replace(visit, care_form="01", admitted=None, left=_at(2026, 11, 2, 11, 5), course=visit.course[:1])
        slip = replace(self._slip(visit), slip_number="00417/2026/GCT", transport="Xe cứu thương")
        visit = replace(visit, referral=slip)
        self._visits["bac-ninh"].append(visit)
        receiving = self._known(person, "bach-mai", {"no_marks": 1.0})
        self._visit(receiving, _Stay(_at(2026, 11, 4, 8, 5), None, referred_from=visit.facility_code))
        numbers = {patient.hospital: patient.number for patient in (earlier, sending, receiving)}
        return Story(person, numbers, ct=scanned, mri=mri.examinations[0], referral=visit)

    def _known(self, person: SyntheticPerson, hospital: str, dirt: Mapping[str, float]) -> Patient:
        return self._register(HOSPITALS[hospital], as_registered(person, self._rng, dirt))

    def _fixed_scan(self) -> Examination:
        kind, hospital = examination_kinds()["ct-brain"], HOSPITALS["bac-ninh"]
        self._examinations += 1
        return Examination(
            kind=kind,
            service=kind.services["1-32"],
            report=kind.variants[0],
            ordered=_at(2026, 11, 2, 8, 10),
            performed=_at(2026, 11, 2, 8, 45),
            reported=_at(2026, 11, 2, 9, 30),
            accession_number=f"27261102{self._examinations:05d}",
            machine="CL.1.LAB27.1",
            reader=hospital.doctors[1],
        )


def _at(year: int, month: int, day: int, hour: int, minute: int) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=VIET_NAM)


def _main_person() -> SyntheticPerson:
    """Nguyễn Thị Lan of Kinh Bắc ward, born in 1964."""
    place = table("places.json")["bac-ninh"]
    commune = place["communes"][0]
    home = Address(
        line="số 27 đường Ngô Gia Tự",
        commune=commune["name"],
        commune_code=commune["code"],
        province=place["name"],
        province_code=place["code"],
        former_district=commune["former_district"],
        former_province=commune["former_province"],
    )
    return SyntheticPerson(
        key=9_000_000,
        family="Nguyễn",
        middle="Thị",
        given="Lan",
        birth_date=date(1964, 3, 18),
        gender="female",
        national_id="927164271102",
        insurance_number="GD4000099271102",
        old_card="927110264",
        phone="0109271102",
        address=home,
        mother_name="Trần Thị Nhàn",
        household_id=9_000_000,
    )
