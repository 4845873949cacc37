"""The recipes of the embedded models: which task, on what, with which defaults. One function a model, one table.

Each builds its task from a data folder and the finished runs before it; all run folders lie side by side in one folder
(``runs/pocket-vae``, ``runs/pocket-image-128``, ``runs/ear``, ``runs/adapter``, ``runs/adapter-gated``,
``runs/classifier``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from studio.data.photos import Photos
from studio.data.recordings import Sounds
from studio.data.shards import Vocabulary
from studio.errors import InputError
from studio.training.loop import LoopOptions, Task, train
from studio.training.workers import Workers

if TYPE_CHECKING:
    from studio.backbones.stable_diffusion import StableDiffusion
    from studio.encoders.pocket import PocketEar
    from studio.evaluation.classifier import PictureClassifier
    from studio.training.ear import EarTask
    from studio.training.latents import Latents


@dataclass(frozen=True)
class Work:
    """What a recipe builds from.

    data : the data folder.  runs : the folder of run folders.
    sizes : picture sizes in pixels, ascending (the image model trains at all, an adapter at the largest).
    init : a finished model to go on from (the assets' folder of the same kind; for pocket-fast the teacher), or None.
    favour : picture classes that the image model sees more of: half of all draws.
    brief : whether the ear learns from brief pieces only.
    """

    data: Path
    runs: Path
    device: str = "cpu"
    sizes: tuple[int, ...] = (128,)
    init: Path | None = None
    favour: tuple[str, ...] = ()
    brief: bool = False

    @property
    def size(self) -> int:
        """The largest size, which a run is named after."""
        return self.sizes[-1]

    @property
    def cache(self) -> Path:
        return self.runs / "cache"

    def folder(self, name: str) -> Path:
        """The run folder of a model; the image model, trained size after size, has one for each."""
        if name == "pocket-image":
            return self.runs / f"{name}-{self.size}"
        return self.runs / (f"{name}-brief" if self.brief else name)

    def finished(self, name: str, embedded: str) -> Path:
        """The export of an earlier run, or the embedded model where there was none."""
        from studio.paths import assets_folder

        sizes = {
            int(size): run for run in self.runs.glob(f"{name}-*") if (size := run.name[len(name) + 1 :]).isdecimal()
        }
        stages = [run / "export" for _, run in sorted(sizes.items(), reverse=True)]  # the largest is the last
        for folder in (*stages, self.runs / name / "export"):
            if folder.is_dir():
                return folder
        folder = assets_folder() / embedded
        if not folder.is_dir():
            raise InputError(
                f"Train {name} first: neither {name}/export in the run folder nor an embedded model is there."
            )
        return folder


@dataclass(frozen=True)
class TrainingRecipe:
    """How to build a task, and the loop's defaults for it."""

    build: Callable[[Work], Task]
    defaults: dict[str, Any] = field(default_factory=dict)


def _photos(work: Work, split: str = "train") -> Photos:
    return Photos.load(work.data, split, work.cache)


def pocket_vae(work: Work) -> Task:
    """The autoencoder, on crops of the photos; a finished one goes on with its decoder."""
    from studio.training.autoencoder import AutoencoderTask, new_autoencoder

    model = AutoencoderKL.from_pretrained(work.init / "vae").float() if work.init else new_autoencoder()
    photos, held_out = _photos(work), _photos(work, "val")
    return AutoencoderTask(photos, held_out, model, work.device, latents=work.init is None)


def pocket_image(work: Work) -> Task:
    """Text encoder and U-Net, on latents of the autoencoder trained before."""
    from studio.training.captions import vocabulary
    from studio.training.image import ImageTask, new_unet
    from studio.training.latents import encode_photos
    from studio.training.text import new_text_encoder, new_tokenizer

    words = Vocabulary.load(work.data)
    if unknown := [name for name in work.favour if name not in words.pictures]:
        raise InputError(
            f"The data has no photos called {', '.join(unknown)}. Photos are called: {', '.join(words.pictures)}."
        )
    photos = _photos(work)
    folder = work.finished("pocket-vae", "pocket") / "vae"
    vae = AutoencoderKL.from_pretrained(folder).float().eval().requires_grad_(False).to(work.device)
    latents = [
        encode_photos(photos, vae, size, work.cache, work.device, details=size > work.sizes[0]) for size in work.sizes
    ]
    if work.init:
        tokenizer = CLIPTokenizer.from_pretrained(work.init / "tokenizer")
        text_encoder = CLIPTextModel.from_pretrained(work.init / "text_encoder").float()
        unet = UNet2DConditionModel.from_pretrained(work.init / "unet").float()
    else:
        tokenizer = new_tokenizer(vocabulary(words.nouns))
        text_encoder = new_text_encoder(tokenizer)
        unet = new_unet(text_width=text_encoder.config.hidden_size, latent_channels=vae.config["latent_channels"])
    parts = (vae, tokenizer, text_encoder, unet)
    return ImageTask(photos, latents, words, *parts, work.device, train_text=work.init is None, favoured=work.favour)


def pocket_fast(work: Work) -> Task:
    """The few-step student of the image model trained before (or of the one in `init`), at its native size.

    It begins with what the embedded student learned of the embedded image model, where that is a better start.
    """
    from studio.backbones import load_backbone
    from studio.backbones.stable_diffusion import StableDiffusion
    from studio.device import pick_device
    from studio.paths import assets_folder
    from studio.training.few_step import FewStepTask

    model = work.init or work.finished("pocket-image", "pocket")
    teacher = load_backbone(str(model), pick_device(work.device))
    if not isinstance(teacher, StableDiffusion):
        raise InputError(f"The few-step model learns from models of Stable Diffusion's form; {model.name} is another.")
    task = FewStepTask(teacher, Vocabulary.load(work.data), work.device)
    before, learned = (assets_folder() / name / "unet" for name in ("pocket", "pocket-fast"))
    if before.is_dir() and learned.is_dir():
        task.carry_over(before, learned)
    return task


def starter_recordings() -> frozenset[str]:
    """Recordings shipped as starter sounds: nothing is trained on them, so that they are an honest first try."""
    from studio.paths import assets_folder

    credits_file = assets_folder() / "sounds" / "credits.json"
    entries = json.loads(credits_file.read_text(encoding="utf-8")) if credits_file.is_file() else []
    return frozenset(entry["recording"] for entry in entries)


def ear(work: Work) -> Task:
    """The ear, on all sounds but the starters and the held-out recordings. Of one that votes its first goes on."""
    from studio.encoders.pocket import EarConfig, PocketEar
    from studio.training.ear import EarTask
    from studio.training.vote import first_of

    sounds = Sounds.load(work.data)
    fresh = EarConfig(labels=tuple(sounds.classes))
    model = first_of(PocketEar.load(work.init)).train() if work.init else PocketEar(fresh)
    return EarTask(sounds, model.to(work.device), work.device, never=starter_recordings(), brief=work.brief)


@dataclass(frozen=True)
class _AdapterParts:
    """What every adapter is trained with."""

    sounds: EarTask
    photos: Photos
    latents: Latents
    words: Vocabulary
    backbone: StableDiffusion
    ear: PocketEar

    @property
    def all(self) -> tuple[EarTask, Photos, Latents, Vocabulary, StableDiffusion]:
        return self.sounds, self.photos, self.latents, self.words, self.backbone


def _adapter_parts(work: Work) -> _AdapterParts:
    from studio.backbones import load_backbone
    from studio.backbones.stable_diffusion import StableDiffusion
    from studio.device import pick_device
    from studio.encoders.pocket import PocketEar
    from studio.training.ear import EarTask
    from studio.training.latents import encode_photos

    photos = _photos(work)
    model = work.finished("pocket-image", "pocket")
    backbone = load_backbone(str(model), pick_device(work.device))
    if not isinstance(backbone, StableDiffusion):
        raise InputError(f"Adapters train on models of Stable Diffusion's form; {model.name} is another.")
    latents = encode_photos(photos, backbone.vae, work.size, work.cache, device=work.device)
    listener = PocketEar.load(work.finished("ear", "ear"))
    ear_task = EarTask(Sounds.load(work.data), listener, never=starter_recordings())
    return _AdapterParts(ear_task, photos, latents, Vocabulary.load(work.data), backbone, listener)


def adapter(work: Work) -> Task:
    """The word adapter between the ear and the image model trained before."""
    from studio.adapters.word import WordAdapter
    from studio.training.adapter import AdapterTask, new_adapter, things_of
    from studio.training.drawn import favour_of

    parts = _adapter_parts(work)
    new = (parts.backbone, parts.ear, parts.words)
    pictures = [picture for _, picture in things_of(parts.ear, parts.words)]
    judge = _judge(work, parts.words)
    favour = favour_of(parts.backbone, judge, parts.words, pictures) if judge else None
    made = new_adapter(*new, favour)
    if work.init:
        made.load_state_dict(WordAdapter.load(work.init, parts.backbone.dims).state_dict())
    return AdapterTask(*parts.all, made.train(), work.device)


def _judge(work: Work, words: Vocabulary) -> PictureClassifier | None:
    """The picture classifier trained before or embedded; None where it knows other classes than this data has."""
    from studio.evaluation.classifier import PictureClassifier

    judge = PictureClassifier.load(work.finished("classifier", "classifier"))
    return judge if judge.classes == words.pictures else None


def gated_adapter(work: Work) -> Task:
    """The gated adapter between the same two."""
    from studio.adapters.gated import GatedAdapter
    from studio.training.gated import GatedTask, new_gated_adapter

    parts = _adapter_parts(work)
    new = (parts.backbone, parts.ear, parts.words)
    made = GatedAdapter.load(work.init, parts.backbone.dims) if work.init else new_gated_adapter(*new)
    return GatedTask(*parts.all, made.train(), work.device)


def classifier(work: Work) -> Task:
    """The picture classifier, on the photos at 64 px."""
    from studio.evaluation.classifier import PictureClassifier
    from studio.training.classifier import ClassifierTask

    model = PictureClassifier.load(work.init).train() if work.init else None
    return ClassifierTask(
        _photos(work),
        _photos(work, "val"),
        model or PictureClassifier(Vocabulary.load(work.data).pictures),
        work.device,
    )


TRAINING: dict[str, TrainingRecipe] = {
    "pocket-vae": TrainingRecipe(
        pocket_vae,
        {"minutes": 60.0, "batch_size": 16, "learning_rate": 8e-4, "weight_decay": 0.0, "ema": 0.998, "decay": 0.6},
    ),
    "pocket-image": TrainingRecipe(
        pocket_image,
        {"minutes": 240.0, "batch_size": 64, "learning_rate": 8e-4, "warmup": 150, "ema": 0.998, "decay": 0.5},
    ),
    "pocket-fast": TrainingRecipe(
        pocket_fast,
        {
            "minutes": 12.0,
            "batch_size": 16,
            "learning_rate": 3e-4,
            "weight_decay": 0.0,
            "warmup": 20,
            "ema": 0.98,
            "decay": 0.6,
        },
    ),
    "ear": TrainingRecipe(
        ear,
        {"minutes": 40.0, "batch_size": 32, "learning_rate": 1.5e-3, "weight_decay": 0.05, "ema": 0.995, "decay": 0.7},
    ),
    "adapter": TrainingRecipe(
        adapter,
        {"minutes": 8.0, "batch_size": 64, "learning_rate": 1e-3, "ema": 0.995, "decay": 0.7},
    ),
    "adapter-gated": TrainingRecipe(
        gated_adapter,
        {"minutes": 9.0, "batch_size": 16, "learning_rate": 1e-3, "warmup": 50, "ema": 0.99, "decay": 0.5},
    ),
    "classifier": TrainingRecipe(
        classifier,
        {"minutes": 20.0, "batch_size": 96, "learning_rate": 2e-3, "weight_decay": 0.05, "ema": 0.995, "decay": 0.8},
    ),
}


def run_training(name: str, work: Work, **changes: Any) -> dict[str, float]:
    """Train one model with its recipe's defaults and `changes` to them, in its run folder; returns its last scores."""
    recipe = TRAINING[name]
    start = work.init.name if work.init else None
    notes: dict[str, Any] = {
        "name": name,
        "data": work.data.name,
        "sizes": work.sizes,
        "init": start,
        "favour": work.favour,
    }
    notes |= {"brief": True} if work.brief else {}
    return run_task(lambda: recipe.build(work), work.folder(name), recipe.defaults, work.device, notes, **changes)


def run_task(
    build: Callable[[], Task],
    folder: Path,
    defaults: dict[str, Any],
    device: str,
    notes: dict[str, Any],
    **changes: Any,
) -> dict[str, float]:
    """Build a task and train it in its run folder, with `changes` to the loop's defaults."""
    settings = {**defaults, "device": device, **changes}
    if changes.get("steps") is not None:
        settings["minutes"] = None
    elif changes.get("minutes") is not None:
        settings["steps"] = None
    workers = Workers(device)  # first of all, because it chooses which GPU "cuda" is
    torch.manual_seed(settings.get("seed", 0))  # initial weights
    options = LoopOptions(**settings)
    return train(build(), folder, options, notes, workers)
