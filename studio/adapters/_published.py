"""Weights of adapters that others have published: where they are looked for, and how their files are checked.

Nothing here unpickles: a file is safetensors, or read with `weights_only=True`. Names and shapes of all tensors are
compared before one is used. Nothing is downloaded unless HEARSIGHT_ALLOW_DOWNLOAD=1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from studio.encoders._weights import Published, read_checkpoint, tensors
from studio.errors import InputError
from studio.hub import ALLOW_DOWNLOAD, cached, download_allowed, downloaded
from studio.paths import weights_home

CONFIG, WEIGHTS = "config.json", "model.safetensors"
DESCRIBED = f"what its {CONFIG} describes"
Config = TypeVar("Config")


def adapters_home() -> Path:
    """The folder of the user's own adapters, one folder each: `adapters` in HEARSIGHT_MODELS or the data folder."""
    return weights_home() / "adapters"


def folder_of(name: str) -> Path:
    """The folder of an adapter by its path, or by its name alone where it is one of the user's own."""
    own = adapters_home() / name
    return own if Path(name).name == name and (own / CONFIG).is_file() else Path(name).expanduser()


def installed(name: str, published: Published) -> Path | None:
    """The folder with the weights of a published adapter on this machine, or None. The network is not touched."""
    own = adapters_home() / name
    if (own / CONFIG).is_file() or (own / published.files[0]).is_file():
        return own
    if published.repository is None:
        return None
    there = cached(
        published.repository,
        published.patterns,
        lambda root: all((root / published.folder / file).is_file() for file in published.files),
        published.repository_type,
    )
    return None if there is None else there / published.folder


def weights_folder(name: str, published: Published) -> Path:
    """That folder, downloaded when it is allowed. Raises InputError with the ways to get the weights."""
    if (folder := installed(name, published)) is not None:
        return folder
    own = adapters_home() / name
    by_hand = f"copy {published.files[0]} ({published.source}) into {own}"
    if published.repository is None:
        raise InputError(
            f"The adapter {name!r} needs weights, and nobody has published any: give a folder with your own as the "
            f"adapter, or put them into {own}."
        )
    if not download_allowed():
        raise InputError(
            f"The adapter {name!r} needs the weights of {published.title}, which are not on this machine. "
            f"Allow the download with {ALLOW_DOWNLOAD}=1, or {by_hand}."
        )
    what = f"The weights of {published.title}"
    there = downloaded(published.repository, published.patterns, what, f"or {by_hand}", published.repository_type)
    return there / published.folder


def read_state(path: Path) -> dict[str, Tensor]:
    """The named tensors of a file. Raises InputError when it cannot be read or holds anything else."""
    if not path.is_file():
        raise InputError(f"There is no file {str(path)!r}. Give an existing file of weights.")
    return tensors(read_checkpoint(path), path)


def check(state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], file: str, title: str) -> None:
    """Raise InputError naming the first weight of `file` that is missing, misshapen, too many or not finite.

    expected: names and shapes, in the order in which they are looked for.  title: what the file should be.
    """
    not_it = f"The file {file!r} is not {title}"
    for name, shape in expected.items():
        if name not in state:
            raise InputError(f"{not_it}: the weight {name!r} {list(shape)} is missing.")
        if tuple(state[name].shape) != shape:
            raise InputError(
                f"{not_it}: the weight {name!r} has the shape {list(state[name].shape)} and must have {list(shape)}."
            )
    if foreign := [name for name in state if name not in expected]:
        raise InputError(f"{not_it}: the weight {foreign[0]!r} does not belong.")
    for name, value in state.items():
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"{not_it}, or it is damaged: {name!r} holds a value that is not a number.")


def shapes(network: nn.Module, prefix: str = "") -> dict[str, tuple[int, ...]]:
    """Names and shapes of a network's weights."""
    return {prefix + name: tuple(value.shape) for name, value in network.state_dict().items()}


def read_folder(
    folder: Path, kind: type[Config], name: str, special: Mapping[str, Callable[[Any], Any]] | None = None
) -> tuple[Config, dict[str, Tensor]]:
    """The config and the weights of an adapter's folder in Hearsight's form. Raises InputError when it is none.

    special: what makes a field's value of what JSON says, for those that are more than numbers, texts and tuples.
    """
    for file in (CONFIG, WEIGHTS):
        if not (folder / file).is_file():
            raise InputError(f"The folder {folder.name} holds no {name} adapter: it needs {CONFIG} and {WEIGHTS}.")
    try:
        values: dict[str, Any] = json.loads((folder / CONFIG).read_bytes())
        known = {field.name for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
        if unknown := sorted(set(values) - known):
            raise InputError(f"{folder / CONFIG} has a field {unknown[0]!r} that is not known: import it again.")
        for field, value in values.items():
            values[field] = tuple(value) if isinstance(value, list) else value
            values[field] = (special or {}).get(field, lambda same: same)(values[field])
        return kind(**values), read_state(folder / WEIGHTS)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / CONFIG} is damaged ({error}): import or train the adapter again.") from error


def fill(network: nn.Module, state: Mapping[str, Tensor], file: str, title: str) -> None:
    """Put all of a file's weights into a network, in float32. Raises InputError as `check`."""
    check(state, shapes(network), file, title)
    network.load_state_dict({name: value.float() for name, value in state.items()}, assign=True)


def write_folder(folder: Path, config: Any, state: Mapping[str, Tensor], dtype: torch.dtype) -> None:
    """Write config.json and model.safetensors. dtype: of the weights on the disk."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(asdict(config), indent=1) + "\n", encoding="utf-8")
    save_file({name: value.to(dtype).contiguous().clone() for name, value in state.items()}, folder / WEIGHTS)
