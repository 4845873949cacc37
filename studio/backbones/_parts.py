"""A model folder's components: read strictly, from this machine only, and made ready for use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers.models.modeling_utils import ModelMixin
from safetensors import SafetensorError
from torch import nn
from transformers.tokenization_utils_base import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from studio.errors import InputError

Network = TypeVar("Network", bound=nn.Module)


def load_parts(folder: Path, kinds: dict[str, Any]) -> dict[str, Any]:
    """The components of a Diffusers folder by name: every weight must be there, in its shape.

    kinds: class of each component, or a function folder -> component. Raises InputError naming the component.
    """
    parts: dict[str, Any] = {}
    for name, kind in kinds.items():
        try:
            with _no_progress_bar():
                parts[name] = _load_part(folder / name, kind)
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f"The model {folder} cannot be loaded: its {name!r} is missing or damaged ({reason}). "
                "Copy the complete Diffusers folder again."
            ) from error
    return parts


def _load_part(folder: Path, kind: Any) -> Any:
    """One component from its folder, never from the network. Raises ValueError when weights are missing."""
    if not folder.is_dir():
        raise OSError(f"there is no folder {folder}")
    if not isinstance(kind, type):
        return kind(folder)
    if issubclass(kind, PreTrainedTokenizerBase):
        return kind.from_pretrained(folder, local_files_only=True)
    options: dict[str, Any] = {}
    if issubclass(kind, ModelMixin):
        # Diffusers would load with less memory through accelerate, and warns at every start that it is not there.
        options["low_cpu_mem_usage"] = False
    if not any("fp16" not in path.name for path in folder.glob("*.safetensors")) and any(folder.glob("*.fp16.*")):
        options["variant"] = "fp16"  # many repositories keep only these
    # float32 first: asking the libraries for another dtype makes them change torch's global default while they load.
    network: Any = kind
    part, report = network.from_pretrained(
        folder, local_files_only=True, output_loading_info=True, dtype=torch.float32, **options
    )
    # The libraries fill what is missing with random numbers and only log it.
    if missing := sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"]):
        raise ValueError(f"{len(missing)} weights are missing or of the wrong shape, the first is {missing[0]}")
    return part


def frozen(module: Network, device: torch.device, dtype: torch.dtype) -> Network:
    """The network on its device, in eval mode, without gradients."""
    module.requires_grad_(False)
    # torch's own methods: Diffusers' `to` warns about layers that it then names as [].
    nn.Module.to(nn.Module.eval(module), device, dtype)
    if device.type == "cpu" and dtype == torch.float32:
        # The processor's convolutions are 2-3 times faster with channels last in float32, and slower in bfloat16.
        nn.Module.to(module, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises InputError when the file is missing or is something else."""
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"The model file {path} is missing or damaged ({error}).") from None
    if not isinstance(values, dict):
        raise InputError(f"The model file {path} is damaged: it must be a JSON object.")
    return values


def digest_of(folder: Path, components: Iterable[str], more: Iterable[Path | str] = ()) -> str:
    """16 hex digits over every file of the components, or over the one file that holds them all.

    more: files (their content counts) and words that also decide what is drawn, in order.
    """
    total = hashlib.sha256()
    paths = [(folder.name, folder)] if folder.is_file() else [
        (f"{part}/{path.name}", path)
        for part in components if (folder / part).is_dir()
        for path in sorted((folder / part).iterdir())
        if path.suffix in (".json", ".txt", ".safetensors", ".bin", ".model")
    ]  # fmt: skip
    for name, path in paths:
        total.update(f"{name}:".encode() + _sha256(path))
    for item in more:
        total.update(_sha256(item) if isinstance(item, Path) else item.encode())
    return total.hexdigest()[:16]


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Transformers draws a bar on stderr while it loads; ours would be broken by it."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
