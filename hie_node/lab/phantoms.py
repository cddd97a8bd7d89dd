"""Cheap CT slices of realistic size: ellipses of tissue under noise, without a numerical library.

A slice is painted as runs of equal values and added to noise as one long integer: values stay far below
65536, so no carry crosses from one pixel to the next.
"""

from collections.abc import Mapping
from math import sqrt
from random import Random
from typing import ClassVar, Literal

Region = Literal["head", "chest"]

_WATER = 1024  # stored value of 0 HU with the intercept of -1024
_Ellipse = tuple[float, float, float, float, int]  # centre x, y and half axes as shares of the image, value in HU

_ORGANS: Mapping[Region, tuple[_Ellipse, ...]] = {
    # painted in this order, the later over the earlier
    "head": (
        (0.50, 0.50, 0.36, 0.43, 60),
        (0.50, 0.50, 0.35, 0.42, 900),
        (0.50, 0.50, 0.325, 0.395, 36),
        (0.45, 0.47, 0.030, 0.110, 8),
        (0.55, 0.47, 0.030, 0.110, 8),
        (0.66, 0.46, 0.090, 0.120, 22),
        (0.50, 0.86, 0.020, 0.015, 5),
    ),
    "chest": (
        (0.50, 0.52, 0.45, 0.33, -80),
        (0.50, 0.52, 0.43, 0.31, 50),
        (0.30, 0.50, 0.160, 0.230, -860),
        (0.70, 0.50, 0.160, 0.230, -860),
        (0.54, 0.46, 0.120, 0.120, 45),
        (0.50, 0.76, 0.060, 0.060, 420),
        (0.33, 0.42, 0.018, 0.018, 30),
    ),
}


class Phantom:
    """The slices of one series, made one at a time; the same seed gives the same bytes."""

    ROWS: ClassVar[int] = 512
    COLUMNS: ClassVar[int] = 512
    _NOISE_MEAN: ClassVar[int] = 31  # two draws of 0 to 31

    def __init__(self, region: Region, slices: int, *, seed: str) -> None:
        self._organs = _ORGANS[region]
        self._slices = slices
        self._noise = _noise(self.ROWS * self.COLUMNS, seed)

    def pixels(self, number: int) -> bytes:
        """Slice `number`, from 0, as unsigned 16-bit little endian."""
        painted = self._paint(number)
        # a slice sees the same noise from another starting pixel
        start = 2 * (number * 7919 % (self.ROWS * self.COLUMNS))
        noise = self._noise[start:] + self._noise[:start]
        total = int.from_bytes(painted, "little") + int.from_bytes(noise, "little")
        return total.to_bytes(len(painted), "little")

    def _paint(self, number: int) -> bytearray:
        air = (24).to_bytes(2, "little")
        image = bytearray(air * (self.ROWS * self.COLUMNS))
        size = self._size(number)
        for organ in self._organs:
            self._fill(image, organ, size)
        return image

    def _size(self, number: int) -> float:
        """How large the section is here: an ellipsoid is widest in its middle."""
        along = 2 * (number + 0.5) / self._slices - 1
        return 0.55 + 0.45 * sqrt(1 - along * along)

    def _fill(self, image: bytearray, organ: _Ellipse, size: float) -> None:
        x, y, half_width, half_height, hounsfield = organ
        stored = max(0, _WATER + hounsfield - self._NOISE_MEAN).to_bytes(2, "little")
        middle_x = self.COLUMNS * (0.5 + (x - 0.5) * size)
        middle_y = self.ROWS * (0.5 + (y - 0.5) * size)
        width, height = self.COLUMNS * half_width * size, self.ROWS * half_height * size
        for row in range(int(middle_y - height) + 1, int(middle_y + height)):
            reach = width * sqrt(max(0.0, 1 - ((row - middle_y) / height) ** 2))
            left, right = int(middle_x - reach), int(middle_x + reach)
            start = 2 * (row * self.COLUMNS + left)
            image[start : start + 2 * (right - left)] = stored * (right - left)


def _noise(pixels: int, seed: str) -> bytes:
    """The sum of two even draws per pixel: nearly bell-shaped, 0 to 62."""
    rng = Random(seed)  # noqa: S311
    mask = int.from_bytes(b"\x1f\x00" * pixels, "little")
    first = int.from_bytes(rng.randbytes(2 * pixels), "little") & mask
    second = int.from_bytes(rng.randbytes(2 * pixels), "little") & mask
    return (first + second).to_bytes(2 * pixels, "little")
