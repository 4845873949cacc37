"""The pictures of one visitor on disk: saved before they are shown, found again after a reload."""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from studio.library.png import save_png
from studio.recipe import Recipe

if TYPE_CHECKING:
    from PIL.Image import Image

_VISITOR = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9]{6}-[0-9]+(-[0-9]+)?\.png")


def new_visitor() -> str:
    """A name for a visitor that nobody else can guess."""
    return secrets.token_hex(16)


class Album:
    """A folder of pictures named by time and seed, so that the order of their names is the order of their making."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, pictures: Path, visitor: str | None) -> Album:
        """The album of a visitor below `pictures`; None = the person whose machine this is.

        Whatever is not a name made by `new_visitor` gets a fresh, empty album: it came from a browser.
        """
        if visitor is None:
            return cls(pictures)
        return cls(pictures / (visitor if _VISITOR.fullmatch(visitor) else new_visitor()))

    def save(self, image: Image, recipe: Recipe) -> Path:
        """Write a picture with its recipe and say where. The file is complete when this returns."""
        # With microseconds, because the small model makes several pictures in one second.
        stem = f"{datetime.now():%Y%m%d-%H%M%S-%f}-{recipe.seed}"
        path = self.folder / f"{stem}.png"
        for again in range(2, 1000):
            if not path.exists():
                break
            path = self.folder / f"{stem}-{again}.png"
        self.folder.mkdir(parents=True, exist_ok=True)
        save_png(image, recipe, path)
        return path

    def newest(self, count: int) -> list[Path]:
        """The latest pictures, newest first."""
        if not self.folder.is_dir():
            return []
        return sorted((path for path in self.folder.glob("*.png") if _NAME.fullmatch(path.name)), reverse=True)[:count]

    def find(self, name: str) -> Path | None:
        """The picture of that file name, or None; a name cannot reach outside the album."""
        path = self.folder / name
        return path if _NAME.fullmatch(name) and path.is_file() else None


def show(path: str | Path) -> str:
    """A file as Gradio may hand it to the browser: a copy in its cache, the same bytes under the same name.

    The alternative, `allowed_paths`, would open the whole folder to everybody who reaches the page.
    """
    return str(save_file_to_cache(path, cache_dir=get_upload_folder()))
