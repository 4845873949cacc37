"""Which image models there are: those of the program, the user's own, those of the hub that are here or known.

One list for the command line and the page: what each is, what it would download, and whether and how it fits into
this machine's memory. Configs and the heads of weight files are read, no weights; the network is not touched.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from studio.backbones import BACKBONES
from studio.backbones._clip_words import CLIP_TOKENS
from studio.backbones._known import BYTES, KNOWN, Known
from studio.backbones._latent import usual_defaults, weight_files
from studio.backbones._memory import MemoryPlan, check_room, free_memory, plan_memory
from studio.backbones._parts import read_json
from studio.backbones._single_file import UNET, VAE, configs_of, form_of, no_tokenizer, reads_text
from studio.backbones._t5 import LARGE
from studio.backbones.base import ModelDefaults
from studio.backbones.hub import cached_model, cached_models, embedded_models, model_folder, own_models
from studio.device import DeviceChoice
from studio.errors import InputError

EMBEDDED, OWN, CACHED, HUB = "embedded", "own", "cached", "hub"
LARGEST_HEAD = 100_000_000  # bytes of a safetensors file's head, its own rule
SINGLE = {"sd1": "StableDiffusionPipeline", "sd2": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline"}


@dataclass(frozen=True)
class ShelvedModel:
    """An image model that can be named.

    name: as --model takes it.  title: as people know it.  form: its pipeline class.
    place: EMBEDDED, OWN, CACHED or HUB.  folder: None where it is not here.
    ready: whether it can be loaded without a download.  lacks: what of it is missing or damaged, in words.
    download: about how many bytes are to be fetched.  weights: bytes in memory while it draws.
    fits: whether this machine has room for it now.  plan: how it would be kept in memory, or why it cannot, in words;
    offload, slices: the same as in a MemoryPlan.  free: bytes of the memory it would be in; None where nobody knows.
    defaults: what it is best drawn with.
    word: D, the width of the word A* in it.  hidden: the width of its transformer; None where it has a U-Net.
    """

    name: str
    title: str
    form: str
    place: str
    folder: str | None
    ready: bool
    download: int
    weights: int
    fits: bool
    plan: str
    defaults: ModelDefaults
    word: int | None = None
    hidden: int | None = None
    lacks: str = ""
    free: int | None = None
    offload: bool = False
    slices: bool = False


@dataclass(frozen=True)
class _Found:
    """What is known of a model without loading it. parts: parameters by component.  loading: bytes that loading takes.

    channels: of the autoencoder's first layer.
    """

    form: str
    parts: dict[str, int]
    loading: int
    defaults: ModelDefaults
    channels: int
    word: int | None
    hidden: int | None
    lacks: str = ""


def models(choice: DeviceChoice, freed: int = 0) -> list[ShelvedModel]:
    """Every model: the program's own first, the user's, those in the hub's cache, and well-known ones.

    choice: where they would be drawn.  freed: bytes that are in use and would be free then, because the model that
    holds them would go.
    """
    titles = {one.name: one.title for one in KNOWN}
    cached = cached_models()
    here = [(name, EMBEDDED) for name in embedded_models()]
    here += [(name, OWN) for name in own_models()]
    here += [(name, CACHED) for name in cached]
    found = [_described(name, titles.get(name, name), place, choice, freed) for name, place in here]
    return [one for one in found if one is not None] + [
        _shelved(one.name, one.title, HUB, None, _of_known(one), one.download, choice, freed)
        for one in KNOWN
        if one.name not in cached
    ]


def model_named(name: str, choice: DeviceChoice, freed: int = 0) -> ShelvedModel | None:
    """The model of that name, folder or file; None when there is none, or it has additions that cannot be read."""
    known = next((one for one in KNOWN if one.name == name), None)
    if known is not None and cached_model(name) is None:
        return _shelved(name, known.title, HUB, None, _of_known(known), known.download, choice, freed)
    place = EMBEDDED if name in embedded_models() else CACHED if "/" in name and cached_model(name) else OWN
    title = known.title if known is not None else Path(name).name if place == OWN else name
    return _described(name, title, place, choice, freed)


def _described(name: str, title: str, place: str, choice: DeviceChoice, freed: int) -> ShelvedModel | None:
    """A model that is here; None for what is none of ours, which the hub's cache may hold too."""
    try:
        source = model_folder(name)
        found = _of_file(source) if source.suffix == ".safetensors" else _of_folder(source)
    except (OSError, InputError, ValueError, KeyError, TypeError, AttributeError) as error:
        if place != OWN:
            return None
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return ShelvedModel(name, title, "", place, None, False, 0, 0, False, "", ModelDefaults(), lacks=reason)
    return _shelved(name, title, place, source, found, 0, choice, freed)


def _shelved(
    name: str,
    title: str,
    place: str,
    source: Path | None,
    found: _Found,
    download: int,
    choice: DeviceChoice,
    freed: int,
) -> ShelvedModel:
    kind: Any = BACKBONES.get(found.form)
    weights = {
        part: count * (choice.dtype.itemsize if part == kind.DENOISER else _itemsize(part, count))
        for part, count in found.parts.items()
    }
    fits, plan = _plan(title, found, weights, choice, freed)
    parted = plan if isinstance(plan, MemoryPlan) else None
    return ShelvedModel(
        name,
        title,
        found.form,
        place,
        None if source is None else str(source),
        source is not None and not found.lacks,
        download,
        sum(weights.values()),
        fits,
        str(plan) if parted is None else parted.reason,
        found.defaults,
        found.word,
        found.hidden,
        found.lacks,
        free_memory(choice.device, freed),
        parted is not None and parted.offload,
        parted is not None and parted.slice_attention,
    )


def _itemsize(part: str, count: int) -> int:
    """Bytes of a number in the parts that run once a picture: float32, and T5 in half."""
    return 2 if part == "text_encoder" and count >= LARGE else 4


def _plan(
    title: str, found: _Found, weights: dict[str, int], choice: DeviceChoice, freed: int
) -> tuple[bool, MemoryPlan | str]:
    """Whether loading and drawing would fit just now, and how. It is what loading itself would choose."""
    on_gpu = choice.device.type == "cuda"
    try:
        check_room(found.loading, title, 0 if on_gpu else freed)
        free = free_memory(choice.device, freed)
        if not on_gpu and free is not None:  # what it takes of the processor's memory is gone when it is planned
            free = max(0, free - sum(weights.values()))
        size, channels = found.defaults.native_size, found.channels
        return True, plan_memory(weights, free, choice.device, native_size=size, vae_channels=channels)
    except InputError as error:
        return False, str(error)


def _of_known(known: Known) -> _Found:
    usual: dict[str, Any] = BACKBONES.get(known.form).USUAL  # type: ignore[attr-defined]
    defaults = ModelDefaults(**(usual | {"native_size": known.size} | (known.likes or {})))
    loading = sum(count * _itemsize(part, count) for part, count in known.parts.items())
    return _Found(known.form, known.parts, loading, defaults, 128, known.word, known.hidden)


def _of_folder(folder: Path) -> _Found:
    """A Diffusers folder, by its configs and the heads of its files."""
    index = read_json(folder / "model_index.json")
    form = str(index["_class_name"])
    kind: Any = BACKBONES.get(form)
    parts: dict[str, int] = {}
    loading = 0
    for name in kind.COMPONENTS:
        if name.startswith("tokenizer") or not (isinstance(index.get(name), list) and any(index[name])):
            continue
        files = weight_files(folder / name)
        if not files:
            raise InputError(f"The model {folder.name!r} is not complete: its {name!r} has no weights.")
        parts[name] = parameters_in(files)
        loading += kind.loaded_bytes(name, files)
    denoiser, vae = read_json(folder / kind.DENOISER / "config.json"), read_json(folder / "vae" / "config.json")
    own = folder / "hearsight.json"
    if own.is_file():
        defaults = ModelDefaults(**read_json(own))
    else:
        size = int(denoiser.get("sample_size") or 64) * 2 ** (len(vae["block_out_channels"]) - 1)
        scheduler = read_json(folder / "scheduler" / "scheduler_config.json")
        defaults = usual_defaults(kind.USUAL, size, scheduler, denoiser.get("time_cond_proj_dim") is not None)
    hidden = None
    if kind.DENOISER == "transformer":
        word = denoiser.get("caption_channels")
        hidden = denoiser["num_attention_heads"] * denoiser["attention_head_dim"]
    else:
        encoders = [name for name in parts if name.startswith("text_encoder")]
        word = sum(int(read_json(folder / name / "config.json")["hidden_size"]) for name in encoders)
    return _Found(form, parts, loading, defaults, vae["block_out_channels"][0], word, hidden)


def _of_file(path: Path) -> _Found:
    """One .safetensors file: the published sizes of its form, and its own count of parameters."""
    head = head_of(path)
    form = form_of(path, set(head))
    configs = configs_of(path, form)
    kind: Any = BACKBONES.get(SINGLE[form])
    counts: dict[str, int] = {}
    for key, shape in head.items():
        part = "unet" if key.startswith(UNET) else "vae" if key.startswith(VAE) else "text_encoder"
        counts[part] = counts.get(part, 0) + prod(shape)
    own = path.with_suffix("") / "hearsight.json"
    size = configs["unet"]["sample_size"] * 2 ** (len(configs["vae"]["block_out_channels"]) - 1)
    defaults = (
        ModelDefaults(**read_json(own))
        if own.is_file()
        else usual_defaults(kind.USUAL, size, configs["scheduler"], False)
    )
    word = sum(configs[name]["hidden_size"] for name in configs if name.startswith("text_encoder"))
    loading = BYTES * sum(counts.values())
    vocabulary = int(configs["text_encoder"].get("vocab_size", CLIP_TOKENS))
    lacks = "" if reads_text(path, vocabulary) else no_tokenizer(path)
    channels = configs["vae"]["block_out_channels"][0]
    return _Found(SINGLE[form], counts, loading, defaults, channels, word, None, lacks)


def parameters_in(files: Iterable[Path]) -> int:
    """How many numbers some .safetensors files hold. Raises OSError or ValueError for what is none."""
    return sum(prod(shape) for file in files for shape in head_of(file).values())


def head_of(path: Path) -> dict[str, list[int]]:
    """The shape of every tensor in a .safetensors file, by its name. Raises OSError or ValueError."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else LARGEST_HEAD + 1
        if length > LARGEST_HEAD:
            raise ValueError(f"{path.name} is no safetensors file, or a damaged one")
        values = json.loads(file.read(length))
    return {name: list(one["shape"]) for name, one in values.items() if name != "__metadata__"}
