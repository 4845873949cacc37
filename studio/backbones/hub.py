"""From the name of a model to its folder: embedded, on this machine, or downloaded when that is allowed."""

from __future__ import annotations

import os
import re
from pathlib import Path

from studio.errors import HearsightError, InputError
from studio.paths import assets_folder

ALLOW_DOWNLOAD = "HEARSIGHT_ALLOW_DOWNLOAD"

# Exactly what is loaded: a repository on the hub also holds the same weights in four other forms.
HUB_FILES = (
    "model_index.json",
    "hearsight.json",
    "scheduler/*.json",
    "tokenizer/*",
    "*/config.json",
    "text_encoder/model.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
)


def download_allowed() -> bool:
    """Whether the user has allowed downloads by the environment variable HEARSIGHT_ALLOW_DOWNLOAD=1."""
    return os.environ.get(ALLOW_DOWNLOAD, "").lower() in ("1", "true", "yes")


def model_folder(name: str, *, allow_download: bool = False) -> Path:
    """The folder of a model: the name of an embedded one ("pocket"), a folder, or "owner/name" on the hub.

    A hub model is taken from the local cache; only with allow_download is it fetched. Raises InputError when there is
    no such model here, with the way to get it, and HearsightError when an allowed download fails.
    """
    if name in embedded_models():
        return assets_folder() / name
    local = Path(name).expanduser()
    if _is_model(local):
        return local.absolute()
    if re.fullmatch(r"[\w.-]+", name) and not local.exists():
        raise InputError(f"There is no model called {name!r}. Embedded are: {', '.join(embedded_models()) or 'none'}.")
    if local.is_dir():
        raise InputError(f"The folder {name!r} holds no model: model_index.json is missing. Name a Diffusers folder.")
    if local.is_absolute() or not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name):
        raise InputError(f"There is no model folder {name!r}. Give an existing Diffusers folder, or 'pocket'.")
    return _from_hub(name, allow_download)


def embedded_models() -> tuple[str, ...]:
    """The names of the models that came with Hearsight."""
    try:
        return tuple(sorted(folder.name for folder in assets_folder().iterdir() if _is_model(folder)))
    except HearsightError:
        return ()


def _is_model(folder: Path) -> bool:
    return (folder / "model_index.json").is_file()


def _from_hub(name: str, allow_download: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, allow_patterns=list(HUB_FILES), local_files_only=True))
        if _is_model(folder):  # a cache can hold another part of the repository
            return folder
    except (LocalEntryNotFoundError, HFValidationError):
        pass
    offline = f"or copy the model's Diffusers folder to this machine and name that folder instead of {name!r}"
    if not allow_download:
        raise InputError(
            f"The model {name!r} is neither a folder here nor downloaded yet. "
            f"Allow the download with {ALLOW_DOWNLOAD}=1, {offline}."
        )
    try:
        return Path(snapshot_download(name, allow_patterns=list(HUB_FILES)))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise HearsightError(
            f"The model {name!r} could not be downloaded ({reason}). Check the network and the name, {offline}."
        ) from error
