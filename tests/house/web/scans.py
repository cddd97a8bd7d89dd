"""Small CT studies whose every pixel is known, and the compressed samples of pydicom as studies of a patient."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tests.papers import Person

SIDE = 32
CENTRE, WIDTH = 40, 400


@dataclass(frozen=True)
class Scan:
    """`count` slices of 32 x 32: the Hounsfield value of each pixel tells its column, row and slice."""

    patient: Person
    uid: str = "1.2.826.0.1.3680043.10.99.7"
    count: int = 9
    frame_of_reference: str = "1.2.826.0.1.3680043.10.99.7.0"
    first_mm: float = 0.0
    step_mm: float = 5.0

    @staticmethod
    def hounsfield(column: int, row: int, number: int) -> int:
        return -150 + 10 * column + row + 3 * number

    def grey(self, column: int, row: int, number: int) -> int:
        low = CENTRE - 0.5 - (WIDTH - 1) / 2
        return min(255, max(0, round((self.hounsfield(column, row, number) - low) / (WIDTH - 1) * 255)))

    def files(self, hospital: str) -> dict[str, bytes]:
        return {f"{n:03d}.dcm": self._slice(n, hospital) for n in range(1, self.count + 1)}

    def image_uid(self, number: int) -> str:
        return f"{self.uid}.1.{number}"

    def _slice(self, number: int, hospital: str) -> bytes:
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = CTImageStorage
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID = self.image_uid(number)
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        _belongs(image, self.patient, hospital, self.uid, number)
        image.FrameOfReferenceUID = self.frame_of_reference
        image.ImagePositionPatient = ["-80", "-80", f"{self.first_mm + self.step_mm * number:g}"]
        image.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        image.PixelSpacing, image.SliceThickness = ["5", "5"], f"{self.step_mm:g}"
        image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
        image.Rows = image.Columns = SIDE
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
        image.WindowCenter, image.WindowWidth = str(CENTRE), str(WIDTH)
        image.RescaleIntercept, image.RescaleSlope, image.RescaleType = "-1024", "1", "HU"
        stored = [self.hounsfield(c, r, number) + 1024 for r in range(SIDE) for c in range(SIDE)]
        image.PixelData = array("H", stored).tobytes()
        return _written(image)


def sample(name: str, patient: Person, hospital: str, uid: str) -> dict[str, bytes]:
    """One of pydicom's images as a study of this patient; its pixels are those that came."""
    path = get_testdata_file(name, download=False)
    assert path is not None
    image = dcmread(path)
    _belongs(image, patient, hospital, uid, 1)
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{uid}.1.1"
    return {"001.dcm": _written(image)}


def _belongs(image: Dataset, patient: Person, hospital: str, uid: str, number: int) -> None:
    family, _, given = patient.name.rpartition(" ")
    about: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "StudyInstanceUID": uid,
        "SeriesInstanceUID": f"{uid}.1",
        "StudyDate": "20260503",
        "StudyTime": "0915",
        "Modality": image.get("Modality") or "CT",
        "StudyDescription": "CT sọ não",
        "SeriesDescription": "Não 5 mm",
        "BodyPartExamined": "HEAD",
        "PatientName": f"{family}^{given}",
        "PatientID": patient.number_at(hospital),
        "IssuerOfPatientID": "",
        "PatientBirthDate": patient.born.replace("-", ""),
        "PatientSex": "M" if patient.gender == "male" else "F",
        "SeriesNumber": 1,
        "InstanceNumber": number,
    }
    for keyword, value in about.items():
        setattr(image, keyword, value)


def _written(image: Dataset) -> bytes:
    written = BytesIO()
    image.save_as(written, enforce_file_format=True)
    return written.getvalue()
