"""Ears whose weights do not come with Hearsight: where they are looked for, and how published files are read.

Nothing here unpickles: a file is safetensors, or read with `weights_only=True`. Every tensor's name and shape is
checked before it is used. Nothing is downloaded unless HEARSIGHT_ALLOW_DOWNLOAD=1.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from studio.errors import InputError
from studio.hub import ALLOW_DOWNLOAD, cached, download_allowed, downloaded
from studio.paths import weights_home

LARGEST_SIZE = 65_536  # of anything a config names; the largest published one is 4096


@dataclass(frozen=True)
class Published:
    """Weights that others have published.

    title: as people know them.  files: what is needed of them, the first being the weights.  source: where to get
    them, in words.  repository, repository_type, folder ("models/"): the same for the hub, when they are there.
    more: what is fetched as well, though the ear listens without it.  size: of a download in bytes, about; 0 where it
    is not known.
    """

    title: str
    files: tuple[str, ...]
    source: str
    repository: str | None = None
    repository_type: str = "model"
    folder: str = ""
    more: tuple[str, ...] = ()
    size: int = 0

    @property
    def patterns(self) -> tuple[str, ...]:
        """The files by their paths in the repository."""
        return tuple(f"{self.folder}{name}" for name in (*self.files, *self.more))


def own_folder(ear: str) -> Path:
    """Where the user puts the weights of an ear: `encoders/NAME` in HEARSIGHT_MODELS or in the user's data folder."""
    return weights_home() / "encoders" / ear


def installed(ear: str, published: Published) -> Path | None:
    """The folder that holds the ear's weights on this machine, or None. The network is not touched."""
    own = own_folder(ear)
    if _weights_in(own):  # whatever their names: loading says what is wrong with them
        return own
    if published.repository is None:
        return None
    there = cached(
        published.repository,
        published.patterns,
        lambda root: all((root / published.folder / name).is_file() for name in published.files),
        published.repository_type,
    )
    return None if there is None else there / published.folder


def weights_folder(ear: str, published: Published) -> Path:
    """The folder of the ear's weights: the user's own, the hub's cache, or downloaded when that is allowed.

    Raises InputError that names the published weights, where to put them, and how to allow the download.
    """
    if (folder := installed(ear, published)) is not None:
        return folder
    place = own_folder(ear)
    by_hand = f"copy {' and '.join(published.files)} ({published.source}) into {place}"
    if published.repository is None:
        raise InputError(
            f"The ear {ear!r} needs the weights of {published.title}, which are not on this machine: {by_hand}."
        )
    if not download_allowed():
        raise InputError(
            f"The ear {ear!r} needs the weights of {published.title}, which are not on this machine. "
            f"Allow the download with {ALLOW_DOWNLOAD}=1, or {by_hand}."
        )
    what = f"The weights of {published.title}"
    there = downloaded(published.repository, published.patterns, what, f"or {by_hand}", published.repository_type)
    return there / published.folder


def weights_file(folder: Path, published: Published) -> Path:
    """The file with the weights in a folder: ours, the published one, or the only one of its form under another name.

    Raises InputError when there is none, or when it is not clear which.
    """
    for name in ("model.safetensors", published.files[0]):
        if (folder / name).is_file():
            return folder / name
    found = _weights_in(folder)
    if len(found) == 1:
        return found[0]
    problem = f"holds {len(found)} files of weights" if found else "holds no weights"
    raise InputError(
        f"The folder {folder} {problem} of {published.title}: put {published.files[0]} ({published.source}) into it."
    )


def _weights_in(folder: Path) -> list[Path]:
    return sorted(path for form in ("*.safetensors", "*.pt", "*.pth") for path in folder.glob(form))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The contents of a file of weights, on the processor. Raises InputError when it holds anything but plain data."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"The file {path.name} holds more than weights, and is not opened because that could run a program: "
            "get the published file again."
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"The file {path.name} cannot be read ({reason}): copy it again.") from error
    if not isinstance(contents, dict):
        raise InputError(f"The file {path.name} holds no named weights: get the published file again.")
    return contents


def tensors(values: object, path: Path) -> dict[str, Tensor]:
    """`values` as named tensors. Raises InputError when it is something else."""
    if not isinstance(values, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in values.items()
    ):
        raise InputError(f"The file {path.name} holds no named weights where they should be: get the file again.")
    return dict(values)


Config = TypeVar("Config")


def read_config(folder: Path, kind: type[Config]) -> Config:
    """The config.json of a folder as a dataclass of sizes; the published sizes where there is none.

    Raises InputError for a field it does not know or a value that cannot be.
    """
    path = folder / "config.json"
    if not path.is_file():
        return kind()
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no readable JSON ({error}): copy it again, or remove it.") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold names and values: copy it again, or remove it.")
    return make_config(kind, values, str(path))


def make_config(kind: type[Config], values: Mapping[str, Any], source: str) -> Config:
    """A dataclass of sizes from plain values. Raises InputError naming the first field that cannot be."""
    hints: dict[str, Any] = get_type_hints(kind)
    if unknown := sorted(set(values) - {field.name for field in fields(kind)}):  # type: ignore[arg-type]
        raise InputError(f"{source} has a field {unknown[0]!r} that this ear does not know: use its own file.")
    clean: dict[str, Any] = {}
    for name, value in values.items():
        clean[name] = tuple(value) if isinstance(value, list) else value
        if not _fits(clean[name], hints[name]):
            raise InputError(f"{source} says {name} = {value!r}, which this ear cannot have: use its own file.")
    return kind(**clean)


def _fits(value: object, hint: object) -> bool:
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_SIZE
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LARGEST_SIZE
    if hint is str:
        return isinstance(value, str)
    return isinstance(value, tuple) and 1 <= len(value) <= 16 and all(_fits(item, int) for item in value)


def fit(network: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Put `state` into a network built on the "meta" device: float32, frozen, in eval mode.

    Raises InputError naming the first weight that is missing, has another shape, is not known or is not finite.
    """
    expected = network.state_dict()
    for name, want in expected.items():
        if name not in state:
            raise InputError(f"{source} does not fit: its weight {name!r} {list(want.shape)} is missing.")
        if (shape := state[name].shape) != want.shape:
            raise InputError(f"{source} does not fit: {name!r} is {list(shape)}, but must be {list(want.shape)}.")
    if unknown := [name for name in state if name not in expected]:
        raise InputError(f"{source} does not fit: it has a weight {unknown[0]!r} that this ear does not know.")
    floats = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    for name, value in floats.items():
        if not torch.isfinite(value).all():
            raise InputError(f"{source} is damaged: {name!r} holds a value that is not a number. Copy it again.")
    network.load_state_dict(floats, assign=True)
    network.eval().requires_grad_(False)


def save_network(network: nn.Module, config: Any, folder: Path) -> None:
    """Write config.json and model.safetensors (float32), which `weights_file` prefers to the published file."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(asdict(config), indent=1) + "\n", encoding="utf-8")
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / "model.safetensors")
