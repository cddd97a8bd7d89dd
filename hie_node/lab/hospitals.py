"""The hospitals of the lab and what a province is: who is known where, and what happened to them."""

from collections.abc import Mapping
from dataclasses import dataclass

from hie_node.lab.insurance_files import FileStyle
from hie_node.lab.people import SyntheticPerson
from hie_node.lab.reception import Registration
from hie_node.lab.studies import NameStyle
from hie_node.lab.visits import Examination, Practitioner, Visit


@dataclass(frozen=True, slots=True)
class Hospital:
    """One hospital and the habits of its systems.

    facility_code   of the social insurance
    number_format   of its patient numbers; two hospitals share one, so an equal number means another person
    first_number    where its patient numbers begin
    scanner         class of its CT
    visits_in_file  how many visits its system puts into one insurance file
    """

    key: str
    name: str
    facility_code: str
    province: str
    number_format: str
    first_number: int
    scanner: str
    style: FileStyle
    name_style: NameStyle
    visits_in_file: int
    head: Practitioner
    doctors: tuple[Practitioner, ...]


@dataclass(frozen=True, slots=True)
class Patient:
    """A line in a hospital's patient list."""

    hospital: str
    number: str
    registration: Registration


@dataclass(frozen=True, slots=True)
class Story:
    """The person the demonstration is about, and what the doctor at the receiving hospital should find.

    numbers  her patient number by hospital
    """

    person: SyntheticPerson
    numbers: Mapping[str, str]
    ct: Examination
    mri: Examination
    referral: Visit


@dataclass(frozen=True, slots=True)
class Province:
    """Everything that happened, at all hospitals; `visits` by hospital, in order of time."""

    seed: int
    hospitals: Mapping[str, Hospital]
    people: tuple[SyntheticPerson, ...]
    patients: tuple[Patient, ...]
    visits: Mapping[str, tuple[Visit, ...]]
    story: Story

    def patients_of(self, hospital: str) -> list[Patient]:
        return [patient for patient in self.patients if patient.hospital == hospital]


def _doctor(name: str, number: int, place: str) -> Practitioner:
    return Practitioner(name, licence=f"{number:06d}/{place}-CCHN", social_number=f"00{number:08d}")


HOSPITALS: Mapping[str, Hospital] = {
    "bac-ninh": Hospital(
        key="bac-ninh",
        name="Bệnh viện Đa khoa Bắc Ninh",
        facility_code="27001",
        province="bac-ninh",
        number_format="BN{:07d}",
        first_number=2_600_000,
        scanner="1-32",
        style=FileStyle(),
        name_style="declared",
        visits_in_file=1,
        head=_doctor("Ngô Quang Hưng", 900101, "BN"),
        doctors=(_doctor("Trần Thị Mai Anh", 900102, "BN"), _doctor("Nguyễn Đình Khải", 900103, "BN")),
    ),
    "thai-nguyen": Hospital(
        key="thai-nguyen",
        name="Bệnh viện Trung ương Thái Nguyên",
        facility_code="19001",
        province="thai-nguyen",
        number_format="{:09d}",
        first_number=26_000_000,
        scanner="64-128",
        style=FileStyle(nested=True, lower_case=True, cdata=True),
        name_style="folded",
        visits_in_file=10,
        head=_doctor("Nông Văn Thịnh", 900201, "TNG"),
        doctors=(_doctor("Ma Thị Duyên", 900202, "TNG"), _doctor("Lê Hữu Phong", 900203, "TNG")),
    ),
    "bach-mai": Hospital(
        key="bach-mai",
        name="Bệnh viện Bạch Mai",
        facility_code="01929",
        province="ha-noi",
        number_format="{:09d}",
        first_number=26_000_185,
        scanner=">=256",
        style=FileStyle(naming="3176", cdata=True),
        name_style="declared",
        visits_in_file=1,
        head=_doctor("Đặng Thế Vinh", 900301, "HNO"),
        doctors=(_doctor("Phạm Thu Hằng", 900302, "HNO"), _doctor("Vũ Minh Đức", 900303, "HNO")),
    ),
}
"""The three of the story. The facility codes are those seen in programs of the area; not verified."""
