"""Contact sheets: many pictures on one page, to look at beside the numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def captioned_sheet(pictures: list[tuple[str, Image.Image]], columns: int, size: int = 128) -> Image.Image:
    """Pictures with their names below, `columns` a row."""
    rows = -(-len(pictures) // columns)
    page = Image.new("RGB", (columns * size, rows * (size + 14)), "white")
    draw = ImageDraw.Draw(page)
    for number, (name, picture) in enumerate(pictures):
        left, top = number % columns * size, number // columns * (size + 14)
        page.paste(picture.resize((size, size), Image.Resampling.LANCZOS), (left, top))
        draw.text((left + 3, top + size), name[: size // 6], fill="black")
    return page


def save_sheet(page: Image.Image, path: Path) -> None:
    """Write a page; .jpg for pictures (some loss, a tenth of the size), .png for drawings with fine lines."""
    page.save(path, **({"quality": 88} if path.suffix == ".jpg" else {"optimize": True}))


def save_grid(pictures: list[np.ndarray], path: Path, columns: int) -> None:
    """Write equally large uint8 [H, W, 3] pictures row by row; an unfilled last row stays white."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    page = np.full((rows * height, min(columns, len(pictures)) * width, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = number // columns * height, number % columns * width
        page[top : top + height, left : left + width] = picture
    Image.fromarray(page).save(path, quality=90)
