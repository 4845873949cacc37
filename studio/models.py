"""The models an engine holds: backbones and their adapters, loaded once, on first use, from any thread."""

from __future__ import annotations

import json
import threading
from weakref import WeakKeyDictionary

from safetensors import SafetensorError

from studio.adapters import ADAPTERS
from studio.adapters._published import folder_of
from studio.adapters.base import Adapter
from studio.backbones import load_backbone
from studio.backbones._variant import absolute_name, split_name
from studio.backbones.base import Backbone, BackboneDims
from studio.backbones.hub import embedded_models
from studio.device import DeviceChoice
from studio.diffusion.preview import LatentColours, latent_colours
from studio.errors import InputError
from studio.recipe import Recipe

AUTO = "auto"  # an adapter's name: the one that suits the model


class Models:
    """Keeps the embedded image models that were used, which are small and take turns on the page, and of all others
    only the last one, because a second may not fit into the memory; and the adapters of those it keeps.

    choice: where they go.  allow_download: whether one that is not on this machine may be fetched.
    """

    def __init__(self, choice: DeviceChoice, allow_download: bool) -> None:
        self._choice = choice
        self._allow_download = allow_download
        self._backbones: dict[str, Backbone] = {}
        self._adapters: dict[tuple[str, str], Adapter] = {}  # by model and name
        # A picture in progress may still ask for the colours of a model that was let go, which must not keep it.
        self._colours: WeakKeyDictionary[Backbone, LatentColours] = WeakKeyDictionary()
        self._lock = threading.RLock()

    def backbone(self, name: str) -> Backbone:
        """The image model of that name, folder or hub name."""
        name = absolute_name(name, embedded_models())  # one model, however it is called
        with self._lock:
            if name not in self._backbones:
                if name not in embedded_models():
                    self.let_go()  # of the old one before the new one needs the room
                self._backbones[name] = load_backbone(name, self._choice, allow_download=self._allow_download)
            return self._backbones[name]

    def holds(self, name: str) -> bool:
        """Whether that model is loaded."""
        return absolute_name(name, embedded_models()) in self._backbones

    def let_go(self, keep: str | None = None) -> None:
        """Forget the model that is not embedded, unless it is the one to keep, with all that belongs to it.

        Its memory is free at once, or as soon as the pictures that are being drawn with it are finished.
        """
        kept = {*embedded_models(), *(() if keep is None else (absolute_name(keep, embedded_models()),))}
        with self._lock:
            self._backbones = {name: one for name, one in self._backbones.items() if name in kept}
            self._adapters = {key: one for key, one in self._adapters.items() if key[0] in self._backbones}

    @property
    def held(self) -> int:
        """Bytes of weights of the model that is not embedded: what would be free without it."""
        large = [one for name, one in self._backbones.items() if name not in embedded_models()]
        networks = (network for one in large for network in one.modules().values())
        return sum(value.numel() * value.element_size() for network in networks for value in network.parameters())

    def adapter(self, model: str, name: str) -> Adapter:
        """The adapter of that name, or in that folder, fitting that image model."""
        name = settled_adapter(model, name)
        model = absolute_name(model, embedded_models())
        with self._lock:
            dims = self.backbone(model).dims
            if (model, name) not in self._adapters:
                own = name in ADAPTERS
                self._adapters[model, name] = ADAPTERS.get(name).load(None, dims) if own else _from_folder(name, dims)
            return self._adapters[model, name]

    def colours(self, backbone: Backbone) -> LatentColours:
        """How previews of that image model are coloured."""
        with self._lock:
            if backbone not in self._colours:
                self._colours[backbone] = latent_colours(backbone)
            return self._colours[backbone]


def adapter_kind(name: str) -> type[Adapter]:
    """The class of an adapter by its name or folder, without its weights. Raises InputError when there is none."""
    if name in ADAPTERS:
        return ADAPTERS.get(name)
    folder = folder_of(name)
    if not folder.is_dir():
        known = ", ".join(ADAPTERS.names())
        raise InputError(f"There is no adapter {name!r}. Use one of: {known}, or a folder with an adapter's weights.")
    try:
        return ADAPTERS.get(str(json.loads((folder / "config.json").read_bytes()).get("adapter", "word")))
    except (OSError, ValueError, AttributeError) as error:
        raise _no_adapter(name, error) from error


def settled_adapter(model: str, name: str, concepts: str | None = None) -> str:
    """The adapter that "auto" stands for: the word adapter for the embedded models, which it was trained for, else
    concepts, which needs no training; and concepts where the recipe says what A* is made of. Other names stay.
    """
    if name != AUTO:
        return name
    return "word" if concepts is None and split_name(model)[0] in embedded_models() else "concepts"


def without_text(recipe: Recipe) -> Recipe:
    """The recipe with its model named without a text encoder, where the adapter stands in the text's place."""
    name = settled_adapter(recipe.model, recipe.adapter, recipe.concepts)
    known = name in ADAPTERS or (folder_of(name) / "config.json").is_file()
    if not known or not adapter_kind(name).instead or not split_name(recipe.model)[1].text:
        return recipe
    return recipe.replace(model=f"{recipe.model}+text=none")


def settled_names(recipe: Recipe) -> dict[str, str]:
    """The recipe's model and adapter, local folders by their absolute path so that it works from elsewhere too."""
    adapter = settled_adapter(recipe.model, recipe.adapter, recipe.concepts)
    return {
        "model": absolute_name(recipe.model, embedded_models()),
        "adapter": adapter if adapter in ADAPTERS else _absolute(adapter),
    }


def check_size(backbone: Backbone, width: int, height: int) -> None:
    """Raise InputError when the model cannot make pictures of that size (in pixels)."""
    grid = backbone.dims.downscale * backbone.dims.patch
    if width % grid or height % grid:
        raise InputError(f"The size {width} x {height} does not fit this model. Use multiples of {grid} px.")


def _absolute(name: str) -> str:
    folder = folder_of(name)
    return str(folder.absolute()) if folder.is_dir() else name


def _from_folder(name: str, dims: BackboneDims) -> Adapter:
    """An adapter's own weights; "adapter" in the folder's config.json says which kind they are, by default "word"."""
    kind = adapter_kind(name)
    try:
        return kind.load(folder_of(name), dims)
    except (OSError, ValueError, AttributeError, TypeError, RuntimeError, KeyError, SafetensorError) as error:
        raise _no_adapter(name, error) from error


def _no_adapter(name: str, error: Exception) -> InputError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return InputError(f"The folder {name!r} holds no adapter, or a damaged one ({reason}).")
