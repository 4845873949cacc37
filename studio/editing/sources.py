"""What reading a photo leaves behind, and where it is kept: in memory and on disk, so that a photo is read once.

Letters: n sampling steps, m evaluations (groups of steps), C latent channels, h x w latent size.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from studio.backbones.base import Backbone, TextStates
from studio.diffusion.attention import recorded, unet_of
from studio.diffusion.inversion import Undone, groups, invert

MEMORY = 2 * 2**30  # bytes of photos kept in memory; one of Stable Diffusion 1.5 at 512 px takes about half of it
DISK = 4 * 2**30
VERSION = 2  # of what is kept; a change of the inversion or of the form counts it up


@dataclass(frozen=True)
class Source:
    """A photo as a model sees it.

    trajectory: float32 [n + 1, C, h, w]; entry i is what sampling step i + 1 starts from, so 0 is the noise and n the
        photo's own latents.  features: layer name -> [m, ...], what the layer gave at each evaluation; m is n, or the
        number of `groups` that share one.
    reconstruction: float32 [1, C, h, w], what the noise gives when it is painted again; None when nobody asked yet.
    later: of a picture that was drawn in stages, for each after the first: float32 [k, C, h, w], after each of its
        steps.
    """

    trajectory: Tensor
    features: dict[str, Tensor] = field(default_factory=dict)
    reconstruction: Tensor | None = None
    later: tuple[Tensor, ...] = ()

    @property
    def steps(self) -> int:
        """n, the sampling steps that were undone."""
        return len(self.trajectory) - 1

    @property
    def size(self) -> int:
        """Bytes."""
        tensors = [self.trajectory, *self.features.values(), *self.later]
        return sum(one.numel() * one.element_size() for one in tensors)

    def at(self, step: int, names: tuple[str, ...]) -> dict[str, Tensor]:
        """What the named layers gave for sampling step 1..n: [1, ...] each."""
        shared = next(number for number, group in enumerate(groups(self.steps)) if step in group)
        found = {}
        for name in names:
            values = self.features[name]
            place = step - 1 if len(values) == self.steps else shared
            found[name] = values[place : place + 1]
        return found


def source_key(backbone: Backbone, pixels: Tensor, source_prompt: str, steps: int, layers: tuple[str, ...]) -> str:
    """64 hex digits over everything that decides a Source. pixels: float32 [1, 3, H, W].

    source_prompt: or the whole recipe as text, of a picture of ours.
    """
    choice = backbone.choice
    about = [VERSION, backbone.digest(), source_prompt, steps, layers, choice.device.type, choice.dtype, pixels.shape]
    total = hashlib.sha256(repr(about).encode())
    total.update(pixels.contiguous().numpy().tobytes())
    return total.hexdigest()


def read_source(
    backbone: Backbone,
    latents: Tensor,
    states: TextStates,
    steps: int,
    layers: tuple[str, ...],
    along: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> Iterator[Undone | Source]:
    """Invert a photo's latents and record the named layers on the way: items of `invert`, and at last the Source.

    along: opens a context in which the model reads, for what changes how it draws.
    """
    seen: dict[str, Tensor] = {}
    starts: dict[int, Tensor] = {}
    kept: dict[str, list[Tensor]] = {name: [] for name in layers}
    unet = unet_of(backbone) if layers else None

    @contextmanager
    def watch() -> Iterator[None]:
        with along(), nullcontext() if unet is None else recorded(unet, layers, seen):
            yield

    for item in invert(backbone, latents, states, steps, watch=watch):
        if item.last:
            starts.update(zip(item.steps, item.latents, strict=True))
            for name in layers:
                kept[name].append(seen[name].cpu())
        yield item
    n = len(starts)
    trajectory = torch.cat([*(starts[step] for step in range(1, n + 1)), latents]).cpu().contiguous()
    # Backwards means from the last step to the first; kept in the order of sampling, and in one memory layout, so that
    # what comes back from the disk gives the same bytes as what was just read.
    yield Source(trajectory, {name: torch.cat(values[::-1]).contiguous() for name, values in kept.items()})


class Sources:
    """The photos read last, by key. Safe to use from several threads, and from several programs on one disk.

    folder: where they are kept, None = nowhere.  memory, disk: bytes; the one used longest ago goes first.
    """

    def __init__(self, folder: Path | None, memory: int = MEMORY, disk: int = DISK) -> None:
        self._folder, self._memory, self._disk = folder, memory, disk
        self._held: OrderedDict[str, Source] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Source | None:
        """What was kept under that key, or None. A damaged file counts as none and is deleted."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        path = self._path(key)
        if path is None or not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
            features = {name.removeprefix("at "): one for name, one in tensors.items() if name.startswith("at ")}
            stages = sorted(name for name in tensors if name.startswith("stage "))
            later = tuple(tensors[name] for name in stages)
            source = Source(tensors["trajectory"], features, tensors.get("reconstruction"), later)
            if any(len(one) not in (source.steps, len(groups(source.steps))) for one in features.values()):
                raise ValueError("a layer has not as many entries as there were evaluations")
        except (OSError, SafetensorError, KeyError, ValueError):
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)
        self._hold(key, source)
        return source

    def put(self, key: str, source: Source) -> None:
        """Keep it. A full or read-only disk is no reason to fail: it is then kept in memory only."""
        self._hold(key, source)
        path = self._path(key)
        if path is None or source.size > self._disk:
            return
        part = path.with_name(f".{key}.{os.getpid()}.{threading.get_ident()}.part")
        tensors = {f"at {name}": one.contiguous() for name, one in source.features.items()}
        tensors |= {f"stage {number}": one for number, one in enumerate(source.later, start=2)}
        tensors["trajectory"] = source.trajectory
        if source.reconstruction is not None:
            tensors["reconstruction"] = source.reconstruction
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # photos of people: for this user's eyes only
            try:
                save_file(tensors, part)
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
            self._make_room(path.parent)
        except (OSError, SafetensorError):
            return

    def _hold(self, key: str, source: Source) -> None:
        with self._lock:
            self._held[key] = source
            self._held.move_to_end(key)
            while len(self._held) > 1 and sum(one.size for one in self._held.values()) > self._memory:
                self._held.popitem(last=False)

    def _path(self, key: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{key}.safetensors"

    def _make_room(self, folder: Path) -> None:
        files = sorted((one.stat().st_mtime, one.stat().st_size, one) for one in folder.glob("*.safetensors"))
        spare = sum(size for _, size, _ in files) - self._disk
        for _, size, path in files:
            if spare <= 0:
                break
            path.unlink(missing_ok=True)
            spare -= size
