"""CT and MRI studies of invented people, as DICOM files on disk.

Two sources of pixels: the small sample images that come with pydicom, given another identity and otherwise
untouched (several compressed syntaxes among them), and generated phantoms of realistic size. Nothing is
downloaded, and no study is ever held in memory whole.

Source: DICOM PS3.3 (CT and MR Image modules), PS3.5 B.2 for UIDs made from a UUID, PS3.10 for the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid5

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

from hie_node.lab.phantoms import Phantom, Region
from hie_node.lab.spelling import without_marks

NameStyle = Literal["declared", "undeclared", "folded"]

SAMPLES: dict[str, tuple[str, ...]] = {
    "CT": ("CT_small.dcm", "J2K_pixelrep_mismatch.dcm"),
    "MR": (
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_implicit.dcm",
    ),
}
"""Images inside the installed pydicom: uncompressed, JPEG 2000, JPEG-LS and RLE."""

NAMESPACE = UUID("6f0c8a52-6c1d-5a51-9a52-3f6a0a5d2c11")
_KEPT = (  # what describes the pixels and says nothing about a person; all else in a sample is left behind
    "ImageType",
    "SliceThickness",
    "KVP",
    "SpacingBetweenSlices",
    "EchoTime",
    "RepetitionTime",
    "EchoTrainLength",
    "MagneticFieldStrength",
    "FlipAngle",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "MRAcquisitionType",
    "XRayTubeCurrent",
    "ConvolutionKernel",
    "PatientPosition",
    "ImagePositionPatient",
    "ImageOrientationPatient",
)


@dataclass(frozen=True, slots=True)
class SeriesSpec:
    """One series.

    samples          names of pydicom's images, one instance each; or
    slices, region   so many generated slices of a phantom
    contrast_agent   what was injected, if anything
    """

    number: int
    description: str
    samples: tuple[str, ...] = ()
    slices: int = 0
    region: Region = "head"
    slice_thickness: float = 5.0
    kernel: str = "H31s"
    contrast_agent: str | None = None


@dataclass(frozen=True, slots=True)
class StudySpec:
    """A study and whose it is, as the scanner got it from the worklist.

    family, given, middle  the parts of the name
    birth_date             yyyymmdd, or empty where only the year is known
    name_style             declared: UTF-8 and says so (ISO_IR 192); undeclared: UTF-8 and does not say so;
                           folded: capitals without marks, no charset
    """

    patient_id: str
    family: str
    middle: str
    given: str
    birth_date: str
    sex: Literal["M", "F", "O"]
    issuer: str
    accession_number: str
    started: datetime
    modality: Literal["CT", "MR"]
    body_part: str
    description: str
    protocol: str
    institution: str
    series: tuple[SeriesSpec, ...]
    name_style: NameStyle = "declared"

    @property
    def study_uid(self) -> str:
        return uid(self.issuer, self.accession_number)


def uid(*parts: str) -> str:
    """A UID under 2.25 that depends on nothing but `parts`."""
    return f"2.25.{uuid5(NAMESPACE, '/'.join(parts)).int}"


def write_study(spec: StudySpec, folder: Path) -> Iterator[Path]:
    """Write a study below `folder`, yielding each file when it is complete; one image in memory at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    for series in spec.series:
        for number, image in enumerate(_images(spec, series), 1):
            path = folder / f"S{series.number:02d}I{number:04d}.dcm"
            _identify(image, spec, series, number)
            image.save_as(path, enforce_file_format=True)
            yield path


def _images(spec: StudySpec, series: SeriesSpec) -> Iterator[Dataset]:
    for name in series.samples:
        yield _sample(name)
    if series.slices:
        yield from _phantom(spec, series)


def _sample(name: str) -> Dataset:
    path = get_testdata_file(name, download=False)
    if path is None:
        raise FileNotFoundError(f"{name} is not among the images of the installed pydicom")
    source = dcmread(path)
    image = Dataset()
    image.file_meta = _meta(source.SOPClassUID, source.file_meta.TransferSyntaxUID)
    for keyword in _KEPT:
        if keyword in source:
            image[keyword] = source[keyword]
    for element in source.group_dataset(0x0028):
        image[element.tag] = element
    image["PixelData"] = source["PixelData"]
    return image


def _phantom(spec: StudySpec, series: SeriesSpec) -> Iterator[Dataset]:
    storage = CTImageStorage if spec.modality == "CT" else MRImageStorage
    phantom = Phantom(series.region, series.slices, seed=f"{spec.study_uid}/{series.number}")
    for number in range(series.slices):
        image = Dataset()
        image.file_meta = _meta(storage, ExplicitVRLittleEndian)
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.KVP = "120"
        image.SliceThickness = str(series.slice_thickness)
        image.ConvolutionKernel = series.kernel
        image.PatientPosition = "HFS"
        position = series.slice_thickness * number
        image.ImagePositionPatient = ["-125", "-125", f"{position:.2f}"]
        image.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        image.SliceLocation = f"{position:.2f}"
        _describe_pixels(image)
        image.PixelData = phantom.pixels(number)
        yield image


def _describe_pixels(image: Dataset) -> None:
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = Phantom.ROWS, Phantom.COLUMNS
    image.PixelSpacing = ["0.488", "0.488"]
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.WindowCenter, image.WindowWidth = "40", "400"
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = "-1024", "1", "HU"


def _meta(sop_class: str, syntax: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.TransferSyntaxUID = syntax
    return meta


def _identify(image: Dataset, spec: StudySpec, series: SeriesSpec, number: int) -> None:
    """Whose image it is, and where it stands in study and series."""
    name, text = _wording(spec)
    day, time = f"{spec.started:%Y%m%d}", f"{spec.started:%H%M%S}"
    if spec.name_style == "declared":
        image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID
    image.SOPInstanceUID = uid(spec.study_uid, str(series.number), str(number))
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.StudyInstanceUID = spec.study_uid
    image.SeriesInstanceUID = uid(spec.study_uid, str(series.number))
    image.FrameOfReferenceUID = uid(spec.study_uid, "frame")
    image.StudyDate = image.SeriesDate = image.AcquisitionDate = image.ContentDate = day
    image.StudyTime = image.SeriesTime = image.AcquisitionTime = image.ContentTime = time
    image.TimezoneOffsetFromUTC = f"{spec.started:%z}" or "+0700"
    image.AccessionNumber = image.StudyID = spec.accession_number
    image.Modality = spec.modality
    image.Manufacturer = "LAB"
    image.InstitutionName = text(spec.institution)
    image.ReferringPhysicianName = ""
    image.StudyDescription = text(spec.description)
    image.SeriesDescription = text(series.description)
    image.PatientName = name
    image.PatientID = spec.patient_id
    image.IssuerOfPatientID = spec.issuer
    image.PatientBirthDate = spec.birth_date
    image.PatientSex = spec.sex
    image.BodyPartExamined = spec.body_part
    image.ProtocolName = text(spec.protocol)
    if series.contrast_agent:
        image.ContrastBolusAgent = text(series.contrast_agent)
    image.SeriesNumber, image.InstanceNumber = series.number, number


def _wording(spec: StudySpec) -> tuple[Any, Any]:
    """The name, and how other texts are written, in this hospital's way."""
    if spec.name_style == "folded":
        whole = " ".join(part for part in (spec.family, spec.middle, spec.given) if part)
        return without_marks(whole).upper(), without_marks
    name = "^".join((spec.family, spec.given, spec.middle)).rstrip("^")
    if spec.name_style == "undeclared":
        return name.encode(), without_marks
    return name, str
