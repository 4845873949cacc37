"""From the name of a model to its folder or file: embedded, on this machine, or downloaded when that is allowed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from studio.errors import HearsightError, InputError
from studio.hub import ALLOW_DOWNLOAD, cached, downloaded
from studio.paths import assets_folder, models_home

# Exactly what is loaded: a repository on the hub also holds the same weights in four other forms.
HUB_FILES = (
    "model_index.json",
    "hearsight.json",
    "scheduler/*.json",
    "tokenizer/*",
    "tokenizer_2/*",
    "*/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "transformer/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder_2/model.safetensors",
    "safety_checker/model.safetensors",
    "feature_extractor/*.json",
)
# Of a large text encoder in several files (T5) too. Left out where a model is loaded without it.
TEXT_FILES = (
    "text_encoder/model.safetensors",
    "text_encoder/model-*-of-*.safetensors",
    "text_encoder/model.safetensors.index.json",
)
NETWORKS = ("text_encoder", "text_encoder_2", "unet", "transformer", "vae")


def model_folder(name: str, *, allow_download: bool = False, text: bool = True) -> Path:
    """Where a model lies: an embedded one ("pocket"), the name of one in `models_home`, a folder, a .safetensors file,
    or "owner/name" on the hub.

    Of a hub repository "owner/name/FILE.safetensors" is a single file. What is on the hub is taken from the local
    cache; only with allow_download is it fetched, with progress bars. text: whether the text encoder is needed.
    Raises InputError when there is no such model here, with the way to get it, and HearsightError when an allowed
    download fails.
    """
    if name in embedded_models():
        return assets_folder() / name
    if (own := own_model(name)) is not None:
        return own
    local = Path(name).expanduser()
    if _is_model(local):
        return local.absolute()
    if local.suffix == ".safetensors":
        return _single_file(name, local, allow_download)
    if re.fullmatch(r"[\w.-]+", name) and not local.exists():
        raise InputError(
            f"There is no model called {name!r}. Embedded are: {', '.join(embedded_models()) or 'none'}. "
            f"Image models of your own go into {models_home()}."
        )
    if local.is_dir():
        raise InputError(f"The folder {name!r} holds no model: model_index.json is missing. Name a Diffusers folder.")
    if local.is_absolute() or not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name):
        raise InputError(f"There is no model folder {name!r}. Give an existing Diffusers folder, or 'pocket'.")
    return _from_hub(name, allow_download, text)


def embedded_models() -> tuple[str, ...]:
    """The names of the models that came with Hearsight."""
    try:
        return tuple(sorted(folder.name for folder in assets_folder().iterdir() if _is_model(folder)))
    except HearsightError:
        return ()


def own_model(name: str) -> Path | None:
    """The folder or .safetensors file of that name among the user's own models."""
    if Path(name).name != name:
        return None
    own = models_home() / name
    return own if _is_model(own) or (own.suffix == ".safetensors" and own.is_file()) else None


def own_models() -> tuple[str, ...]:
    """The names of the user's own models."""
    try:
        return tuple(sorted(path.name for path in models_home().iterdir() if own_model(path.name)))
    except OSError:
        return ()


def cached_models() -> tuple[str, ...]:
    """The names ("owner/name") of the hub's models whose cache on this machine holds all that is loaded."""
    from huggingface_hub import constants

    folders = sorted(Path(constants.HF_HUB_CACHE).glob("models--*--*/snapshots"))
    names = [folder.parent.name.removeprefix("models--").replace("--", "/", 1) for folder in folders]
    return tuple(name for name in names if cached_model(name))


def cached_model(name: str, text: bool = True) -> Path | None:
    """The folder of a hub's model in the cache, None where it is not, or not all of it: a cache can hold another part
    of the repository, or a download that was broken off. The network is not touched.
    """
    return cached(name, _wanted(text), lambda folder: _is_model(folder) and not _lacking(folder, text))


def _wanted(text: bool) -> list[str]:
    return [*HUB_FILES, *(TEXT_FILES if text else ())]


def _is_model(folder: Path) -> bool:
    return (folder / "model_index.json").is_file()


def _from_hub(name: str, allow_download: bool, text: bool) -> Path:
    if (folder := cached_model(name, text)) is not None:
        return folder
    wanted = _wanted(text)
    offline = _offline_way(name, "copy the model's Diffusers folder", allow_download)
    folder = downloaded(name, wanted, f"The model {name!r}", offline)
    if lacking := _lacking(folder, text):  # many repositories keep some weights in half precision only
        half = [f"{part}/*.fp16*.safetensors" for part in lacking]
        folder = downloaded(name, half, f"The model {name!r}", offline)
    return folder


def _single_file(name: str, local: Path, allow_download: bool) -> Path:
    if local.is_file():
        return local.absolute()
    parts = re.fullmatch(r"([\w-][\w.-]*/[\w.-]+)/((?:[\w-][\w. -]*/)*[\w-][\w. -]*\.safetensors)", name)
    if local.is_absolute() or parts is None:
        raise InputError(f"There is no model file {name!r}. Give an existing .safetensors file or a Diffusers folder.")
    repository, file = parts.groups()
    folder = cached(repository, [file], lambda folder: (folder / file).is_file())
    if folder is None:
        offline = _offline_way(name, "copy the file", allow_download)
        folder = downloaded(repository, [file], f"The model {name!r}", offline)
    return folder / file


def _offline_way(name: str, copy: str, allow_download: bool) -> str:
    """How a model gets here without a network. Raises InputError with it when a download is not allowed."""
    offline = f"or {copy} to this machine and name that instead of {name!r}"
    if not allow_download:
        raise InputError(
            f"The model {name!r} is neither a folder here nor downloaded yet. "
            f"Allow the download with {ALLOW_DOWNLOAD}=1, {offline}."
        )
    return offline


def _lacking(folder: Path, text: bool) -> list[str]:
    """The networks that model_index.json names and whose weights are not all there."""
    try:
        index: dict[str, Any] = json.loads((folder / "model_index.json").read_bytes())
        named = [name for name in NETWORKS if isinstance(index.get(name), list) and any(index[name])]
        return [name for name in named if (text or name != "text_encoder") and not _has_weights(folder / name)]
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return []  # loading says what is wrong with it


def _has_weights(folder: Path) -> bool:
    """Whether there is a file of weights, and all of them where there are several."""
    for index in folder.glob("*.safetensors.index.json"):
        return all((folder / file).is_file() for file in json.loads(index.read_bytes())["weight_map"].values())
    return any(folder.glob("*.safetensors"))
