"""Where things lie: the embedded assets and presets, and the user's own data."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from studio.errors import HearsightError

_PACKAGE = Path(__file__).resolve().parent


def assets_folder() -> Path:
    """The folder of the embedded models and sounds: HEARSIGHT_ASSETS, or `assets` of the checkout or installation.

    Raises HearsightError naming the places looked at when there is none.
    """
    return _shipped("assets", "HEARSIGHT_ASSETS")


def presets_folder() -> Path:
    """The folder of the prompt templates: HEARSIGHT_PRESETS, or `presets` of the checkout or installation."""
    return _shipped("presets", "HEARSIGHT_PRESETS")


def data_home() -> Path:
    """Where pictures, recordings and downloaded things of the user go. It need not exist yet.

    HEARSIGHT_HOME if set; on a Hugging Face Space /data/hearsight when that disk is there and writable;
    else hearsight in XDG_DATA_HOME or ~/.local/share.
    """
    if chosen := os.environ.get("HEARSIGHT_HOME"):
        return Path(chosen).expanduser().absolute()
    space_disk = Path("/data")  # the persistent disk of a Space; without it a Space forgets everything at restart
    if os.environ.get("SPACE_ID") and os.access(space_disk, os.W_OK):
        return space_disk / "hearsight"
    shared = os.environ.get("XDG_DATA_HOME", "")
    base = Path(shared) if Path(shared).is_absolute() else Path.home() / ".local" / "share"
    return base / "hearsight"


def pictures_folder(home: Path | None = None) -> Path:
    """Where the app keeps finished pictures. home: a data folder other than the user's own."""
    return (home or data_home()) / "pictures"


def weights_home() -> Path:
    """Where the user's own copies of published weights lie, e.g. `encoders/ast` in it: HEARSIGHT_MODELS, or the user's
    data folder. It need not exist yet.
    """
    if chosen := os.environ.get("HEARSIGHT_MODELS"):
        return Path(chosen).expanduser().absolute()
    return data_home()


def models_home() -> Path:
    """The user's own image models: Diffusers folders and .safetensors files, which are called by their names alone."""
    return weights_home() / "models"


def photo_cache_folder() -> Path:
    """Where what was read of photos is kept, to be used again; it may be deleted at any time."""
    return data_home() / "photos-read"


def _shipped(name: str, variable: str) -> Path:
    if chosen := os.environ.get(variable):
        folder = Path(chosen).expanduser().absolute()
        if not folder.is_dir():
            raise HearsightError(f"{variable} names {folder}, which is not a folder. Correct or unset it.")
        return folder
    for folder in _places(name):
        if folder.is_dir():
            return folder
    looked = ", ".join(str(folder) for folder in _places(name))
    raise HearsightError(f"The folder {name} is missing. Looked at: {looked}. Install again, or set {variable}.")


def _places(name: str) -> Iterator[Path]:
    yield _PACKAGE.parent / name  # a checkout, and an editable installation
    yield _PACKAGE / name  # packed inside the wheel
    yield Path(sys.prefix) / "share" / "hearsight" / name  # installed as data files
