"""Contact sheets that grow: a place for each picture of a journey, filled as they are finished."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw, ImageFont

CELL = 208  # px, the longer side of a picture on the sheet
_GAP, _LINE = 8, 20  # px, between pictures, and for the caption below
_PAPER, _EMPTY, _INK = "#ffffff", "#eeeef1", "#27272a"


class Sheet:
    """A page of `count` pictures of one size, numbered from 1, in rows. page: RGB, as far as it is filled.

    size: (width, height) of the pictures in px.  cell: the longer side of each on the page, in px.
    """

    def __init__(self, count: int, size: tuple[int, int], cell: int = CELL) -> None:
        width, height = size
        scale = cell / max(size)
        self._cell = (max(round(width * scale), 1), max(round(height * scale), 1))
        # About as wide as a screen for its height, and no last row with a single picture where that can be avoided.
        widest = min(count, 12)
        wanted = min(max(round(math.sqrt(1.6 * count * height / width)), 3), widest)
        self._columns = min(
            range(max(wanted - 1, 1), min(wanted + 2, widest) + 1),
            key=lambda columns: (-count % columns, abs(columns - wanted)),
        )
        rows = math.ceil(count / self._columns)
        wide, high = self._cell[0] + _GAP, self._cell[1] + _GAP + _LINE
        self.page = Image.new("RGB", (self._columns * wide + _GAP, rows * high + _GAP), _PAPER)
        self._draw = ImageDraw.Draw(self.page)
        self._font = ImageFont.load_default(13)
        self._filled = 0
        for number in range(count):
            left, top = self._place(number)
            self._draw.rectangle((left, top, left + self._cell[0] - 1, top + self._cell[1] - 1), _EMPTY)

    def _place(self, number: int) -> tuple[int, int]:
        row, column = divmod(number, self._columns)
        return _GAP + column * (self._cell[0] + _GAP), _GAP + row * (self._cell[1] + _GAP + _LINE)

    def add(self, picture: Image.Image, caption: str) -> None:
        """Put the next picture on the page, with its number and a caption, cut to what there is room for."""
        left, top = self._place(self._filled)
        self._filled += 1
        small = picture.convert("RGB").resize(self._cell, Image.Resampling.LANCZOS)
        self.page.paste(small, (left, top))
        text = f"{self._filled}  {caption}"
        while len(text) > 3 and self._draw.textlength(text, self._font) > self._cell[0]:
            text = text[:-4].rstrip() + "..."
        self._draw.text((left + 1, top + self._cell[1] + 2), text, _INK, self._font)
