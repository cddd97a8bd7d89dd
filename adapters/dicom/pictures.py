"""One stored image made readable or drawn: runs only in the process that `hie_node/picture_child.py` locks away.

Decoders are C++ fed with bytes of strangers, so nothing else of the node imports this file. Numbers stay exact:
`plain` changes how pixels are packed, never what they are; only `drawn` makes a picture to look at.

Sources: DICOM PS3.5 section 8 and annex A (pixel data), PS3.3 C.7.6.3 (image pixel), C.11.2 (window).
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping
from io import BytesIO
from math import ceil, floor
from typing import Any

from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import get_decoder
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from registry.studies import PictureWish

GDCM = "gdcm"
_OWN_DECODERS = frozenset({"1.2.840.10008.1.2.5"})
"""RLE needs no library."""
_DESCRIBED = {
    "PhotometricInterpretation": "photometric_interpretation",
    "SamplesPerPixel": "samples_per_pixel",
    "BitsAllocated": "bits_allocated",
}


class CannotBeDrawn(Exception):
    """No picture in it, or none that the decoders know. The text names rules, never content."""


class HoldsNoPicture(CannotBeDrawn):
    """It is no image at all."""


class NoSuchFrame(CannotBeDrawn):
    """It has fewer."""


def plain(content: bytes) -> bytes:
    """The same object with its pixels unpacked, as Explicit VR Little Endian; raises CannotBeDrawn."""
    dataset = _read(content)
    pixels, found = _unpacked(dataset, None)
    for keyword, name in _DESCRIBED.items():
        setattr(dataset, keyword, found[name])
    if found["samples_per_pixel"] > 1:
        dataset.PlanarConfiguration = found.get("planar_configuration", 0)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    dataset["PixelData"].VR = "OB" if found["bits_allocated"] <= 8 else "OW"
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def drawn(content: bytes, wish: PictureWish) -> bytes:
    """One frame as JPEG or PNG, in the window that is wished for or that the object names; raises CannotBeDrawn."""
    dataset = _read(content)
    if not 1 <= wish.frame <= int(dataset.get("NumberOfFrames") or 1):
        raise NoSuchFrame("no such frame")
    pixels, found = _unpacked(dataset, wish.frame - 1)
    size = (int(found["columns"]), int(found["rows"]))
    kind = found["photometric_interpretation"]
    if found["samples_per_pixel"] == 3:
        image = _coloured(pixels, size, kind, found.get("planar_configuration", 0))
    elif kind == "PALETTE COLOR":
        image = _by_palette(pixels, size, dataset)
    else:
        image = _grey(pixels, size, found, dataset, wish)
    return _encoded(_fitted(image, dataset, wish), wish)


def sample() -> bytes:
    """The smallest picture there is, to try the decoders on."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.Rows = dataset.Columns = 2
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelData = bytes(8)
    written = BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def _read(content: bytes) -> Dataset:
    dataset = dcmread(BytesIO(content))
    if "PixelData" not in dataset or "Rows" not in dataset:
        raise HoldsNoPicture("holds no picture")
    return dataset


def _unpacked(dataset: Dataset, index: int | None) -> tuple[bytes, Mapping[str, Any]]:
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
        packed = syntax.is_encapsulated and syntax not in _OWN_DECODERS
        chosen = {"decoding_plugin": GDCM} if packed else {}
        pixels, found = decoder.as_buffer(dataset, index=index, raw=True, **chosen)
    except NotImplementedError as error:
        raise CannotBeDrawn(f"transfer syntax {syntax}: no decoder") from error
    except (RuntimeError, ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
        raise CannotBeDrawn(f"transfer syntax {syntax}: cannot be decoded") from error
    if found["bits_allocated"] not in (8, 16):
        raise CannotBeDrawn(f"{found['bits_allocated']} bits a sample")
    return bytes(pixels), found


def _grey(
    pixels: bytes, size: tuple[int, int], found: Mapping[str, Any], dataset: Dataset, wish: PictureWish
) -> Image.Image:
    """Rescaled, windowed, and white at the end that the object says."""
    wide = found["bits_allocated"] == 16
    samples: Any = _words(pixels) if wide else pixels
    bits, signed = int(found.get("bits_stored") or 8), bool(found.get("pixel_representation"))
    half = 1 << (bits - 1)
    stored = range(-half, half) if signed else range(2 * half)
    rescale = (_number(dataset, "RescaleSlope") or 1.0, _number(dataset, "RescaleIntercept") or 0.0)
    window = wish.window or _window_of(dataset) or _of_all(samples, stored, rescale)
    greys = _greys(stored, rescale, window)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        greys = bytes(255 - grey for grey in greys)
    if signed:  # the codes of negative values come after those of the others
        greys = greys[half:] + greys[:half]
    greys *= (65536 if wide else 256) // len(greys)  # bits above those stored are not part of the value
    shown = bytes(map(greys.__getitem__, samples)) if wide else pixels.translate(greys)
    return Image.frombytes("L", size, shown[: size[0] * size[1]])


def _words(pixels: bytes) -> array[int]:
    words = array("H")
    words.frombytes(pixels[: len(pixels) // 2 * 2])
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _of_all(samples: Any, stored: range, rescale: tuple[float, float]) -> tuple[float, float]:
    """A window from the darkest to the brightest pixel, where the object names none."""
    codes = {code & (len(stored) - 1) for code in set(samples)}
    values = [code if code <= stored[-1] else code - len(stored) for code in codes]
    ends = [value * rescale[0] + rescale[1] for value in (min(values), max(values))]
    return sum(ends) / 2 + 0.5, abs(ends[1] - ends[0]) + 1


def _greys(stored: range, rescale: tuple[float, float], window: tuple[float, float]) -> bytes:
    """The grey of each stored value in order. Source: PS3.3 C.11.2.1.2.1 (linear)."""
    slope, intercept = rescale
    width = max(window[1], 2.0)
    low, scale = window[0] - 0.5 - (width - 1) / 2, 255 / (width - 1)
    ends = sorted((edge - intercept) / slope for edge in (low, low + width - 1))
    start = min(max(floor(ends[0]), stored.start), stored.stop)
    stop = min(max(ceil(ends[1]) + 1, start), stored.stop)
    ramp = bytes(min(255, max(0, round((value * slope + intercept - low) * scale))) for value in range(start, stop))
    dark, bright = (b"\0", b"\xff") if slope > 0 else (b"\xff", b"\0")
    return dark * (start - stored.start) + ramp + bright * (stored.stop - stop)


def _window_of(dataset: Dataset) -> tuple[float, float] | None:
    centre, width = _number(dataset, "WindowCenter"), _number(dataset, "WindowWidth")
    return (centre, width) if centre is not None and width else None


def _number(dataset: Dataset, keyword: str) -> float | None:
    """The first value of it; what is no number is not there."""
    value = dataset.get(keyword)
    if value is not None and not isinstance(value, (str, int, float)) and len(value):
        value = value[0]
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _coloured(pixels: bytes, size: tuple[int, int], kind: str, planar: int) -> Image.Image:
    count = size[0] * size[1]
    if len(pixels) < 3 * count:
        raise CannotBeDrawn("16 bits a colour")
    if planar:
        planes = [Image.frombytes("L", size, pixels[n * count : (n + 1) * count]) for n in range(3)]
        image = Image.merge("YCbCr" if kind.startswith("YBR") else "RGB", planes)
    else:
        image = Image.frombytes("YCbCr" if kind.startswith("YBR") else "RGB", size, pixels[: 3 * count])
    return image.convert("RGB")


def _by_palette(pixels: bytes, size: tuple[int, int], dataset: Dataset) -> Image.Image:
    """Source: PS3.3 C.7.6.3.1.5 and C.7.6.3.1.6."""
    planes = []
    for colour in ("Red", "Green", "Blue"):
        count, first, bits = (int(n) for n in dataset[f"{colour}PaletteColorLookupTableDescriptor"].value)
        entries: Any = dataset[f"{colour}PaletteColorLookupTableData"].value
        entries = _words(entries) if len(entries) >= 2 * (count or 65536) else entries
        levels = [min(255, entry >> (8 if bits > 8 and max(entries) > 255 else 0)) for entry in entries]
        table = bytes(levels[min(max(code - first, 0), len(levels) - 1)] for code in range(256))
        planes.append(Image.frombytes("L", size, pixels[: size[0] * size[1]].translate(table)))
    return Image.merge("RGB", planes)


def _fitted(image: Image.Image, dataset: Dataset, wish: PictureWish) -> Image.Image:
    """As large as it is, or as fits in the viewport; pixels that are not square are drawn as they are in the body."""
    width, height = float(image.width), image.height * _tallness(dataset)
    if wish.viewport:
        scale = min(wish.viewport[0] / width, wish.viewport[1] / height)
        width, height = width * scale, height * scale
    fitted = (max(1, round(width)), max(1, round(height)))
    return image if fitted == image.size else image.resize(fitted, Image.Resampling.BILINEAR)


def _tallness(dataset: Dataset) -> float:
    """Height of a pixel by its width, where the object tells it."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio"):
        given = dataset.get(keyword)
        if given and len(given) == 2 and float(given[0]) > 0 and float(given[1]) > 0:
            return float(given[0]) / float(given[1])
    return 1.0


def _encoded(image: Image.Image, wish: PictureWish) -> bytes:
    written = BytesIO()
    if wish.media_type == "image/png":
        image.save(written, "PNG", compress_level=3)
    else:
        image.save(written, "JPEG", quality=wish.quality)
    return written.getvalue()
