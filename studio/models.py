"""The models an engine holds: backbones and their adapters, loaded once, on first use, from any thread."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from safetensors import SafetensorError

from studio.adapters import ADAPTERS
from studio.adapters.base import Adapter
from studio.backbones import load_backbone
from studio.backbones.base import Backbone, BackboneDims
from studio.backbones.hub import embedded_models
from studio.device import DeviceChoice
from studio.diffusion.preview import LatentColours, latent_colours
from studio.errors import InputError
from studio.recipe import Recipe


class Models:
    """Keeps the last image model used, and its adapters: a second one may not fit into the memory.

    choice: where they go.  allow_download: whether one that is not on this machine may be fetched.
    """

    def __init__(self, choice: DeviceChoice, allow_download: bool) -> None:
        self._choice = choice
        self._allow_download = allow_download
        self._backbone: tuple[str, Backbone] | None = None
        self._adapters: dict[str, Adapter] = {}
        self._colours: tuple[Backbone, LatentColours] | None = None
        self._lock = threading.RLock()

    def backbone(self, name: str) -> Backbone:
        """The image model of that name, folder or hub name."""
        with self._lock:
            if self._backbone is None or self._backbone[0] != name:
                self._backbone, self._adapters = None, {}  # let go of the old one before the new one needs the room
                self._backbone = (name, load_backbone(name, self._choice, allow_download=self._allow_download))
            return self._backbone[1]

    def adapter(self, model: str, name: str) -> Adapter:
        """The adapter of that name, or in that folder, fitting that image model."""
        with self._lock:
            dims = self.backbone(model).dims
            if name not in self._adapters:
                own = name in ADAPTERS
                self._adapters[name] = ADAPTERS.get(name).load(None, dims) if own else _from_folder(name, dims)
            return self._adapters[name]

    def colours(self, backbone: Backbone) -> LatentColours:
        """How previews of that image model are coloured."""
        with self._lock:
            if self._colours is None or self._colours[0] is not backbone:
                self._colours = (backbone, latent_colours(backbone))
            return self._colours[1]


def settled_names(recipe: Recipe) -> dict[str, str]:
    """The recipe's model and adapter, local folders by their absolute path so that it works from elsewhere too."""
    return {
        "model": recipe.model if recipe.model in embedded_models() else _absolute(recipe.model),
        "adapter": recipe.adapter if recipe.adapter in ADAPTERS else _absolute(recipe.adapter),
    }


def check_size(backbone: Backbone, width: int, height: int) -> None:
    """Raise InputError when the model cannot make pictures of that size (in pixels)."""
    grid = backbone.dims.downscale
    if width % grid or height % grid:
        raise InputError(f"The size {width} x {height} does not fit this model. Use multiples of {grid} px.")


def _absolute(name: str) -> str:
    folder = Path(name).expanduser()
    return str(folder.absolute()) if folder.is_dir() else name


def _from_folder(name: str, dims: BackboneDims) -> Adapter:
    """An adapter's own weights; "adapter" in the folder's config.json says which kind they are, by default "word"."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        known = ", ".join(ADAPTERS.names())
        raise InputError(f"There is no adapter {name!r}. Use one of: {known}, or a folder with an adapter's weights.")
    try:
        kind = str(json.loads((folder / "config.json").read_bytes()).get("adapter", "word"))
        return ADAPTERS.get(kind).load(folder, dims)
    except (OSError, ValueError, AttributeError, TypeError, RuntimeError, KeyError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"The folder {name!r} holds no adapter, or a damaged one ({reason}).") from error
