"""The gallery of one visitor, and how its files reach the browser."""

from __future__ import annotations

import logging
import re
import secrets
from pathlib import Path

from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from studio.errors import HearsightError
from studio.library.gallery import Gallery

log = logging.getLogger("hearsight.app")

VISITOR = re.compile(r"[0-9a-f]{32}")


def new_visitor() -> str:
    """A name for a visitor that nobody else can guess."""
    return secrets.token_hex(16)


class Album(Gallery):
    """A gallery that belongs to one visitor."""

    @classmethod
    def of(cls, pictures: Path, visitor: str | None) -> Album:
        """The album of a visitor below `pictures`; None = the person whose machine this is.

        Whatever is not a name made by `new_visitor` gets a fresh, empty album: it came from a browser.
        """
        if visitor is None:
            return cls(pictures)
        return cls(pictures / (visitor if VISITOR.fullmatch(visitor) else new_visitor()))

    def newest(self, count: int) -> list[Path]:
        """The latest pictures, newest first; none while the index is locked, which must not hold up the page."""
        try:
            self.refresh()
            return [self.folder / entry.name for entry in self.page(size=count).entries]
        except HearsightError as error:
            log.warning("The latest pictures cannot be listed: %s", error)
            return []


def show(path: str | Path) -> str:
    """A file as Gradio may hand it to the browser: a copy in its cache, the same bytes under the same name.

    The alternative, `allowed_paths`, would open the whole folder to everybody who reaches the page.
    """
    return str(save_file_to_cache(path, cache_dir=get_upload_folder()))
