"""The recipes of adapters that learn from a folder of pairs: one for each kind, with the published defaults.

Where a publication needs a cluster (Seeing Sound: 640 samples a step, half a million steps) the default is what one
GPU does in a day or so; `--batch-size 16 --accumulate 40 --steps 500000` is the published run.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.backbones import load_backbone
from studio.data.pairs import Pairs
from studio.device import DeviceName, pick_device
from studio.encoders import ENCODERS
from studio.errors import InputError
from studio.models import check_size
from studio.training.context_pairs import ContextPairs
from studio.training.gated_pairs import GatedPairs
from studio.training.heard import encode_pictures, listen_to_pairs
from studio.training.pair_task import PairParts, PairTask
from studio.training.recipes import run_task
from studio.training.word_pairs import AudioTokenPairs, WordPairs


@dataclass(frozen=True)
class PairRecipe:
    """task: builds what is trained.  ear: whose embeddings are published to be read.  seconds: of sound it hears at
    once in training.  copies: pieces of each longer sound.  text: whether the image model's text encoder is needed.
    defaults: of the loop.  rate: learning rate for each sample of a step, where it is published so.
    """

    task: Callable[[PairParts], PairTask]
    ear: str
    seconds: float
    defaults: dict[str, Any] = field(default_factory=dict)
    copies: int = 4
    text: bool = True
    rate: float | None = None


PAIR_TRAINING: dict[str, PairRecipe] = {
    # AAI has published neither rates nor steps; these are ours.
    "word": PairRecipe(
        WordPairs, "pocket", 10.0, {"steps": 5_000, "batch_size": 8, "learning_rate": 3e-4, "weight_decay": 0.01}
    ),
    "audiotoken": PairRecipe(
        AudioTokenPairs, "beats", 5.0, {"steps": 30_000, "batch_size": 8, "weight_decay": 0.01}, rate=1e-5
    ),
    "gated": PairRecipe(
        GatedPairs,
        "clap-2022",
        10.0,
        {"steps": 20_000, "batch_size": 6, "learning_rate": 1e-4, "weight_decay": 0.01},
    ),
    "context": PairRecipe(
        ContextPairs,
        "ast",
        5.0,
        {"steps": 20_000, "batch_size": 16, "learning_rate": 3.16e-5, "weight_decay": 0.03},
        text=False,
    ),
}


@dataclass(frozen=True)
class PairWork:
    """What to train on. data: the folder of pairs.  runs: the folder of run folders.  model: the image model's name.

    ear: its registered name, None = the kind's own.  size: of the pictures in px, None = the model's native one.
    vectors: of a word.  init: a finished adapter of the same kind to go on from.
    """

    data: Path
    runs: Path
    model: str = "pocket"
    ear: str | None = None
    device: DeviceName = "cpu"
    size: int | None = None
    vectors: int = 1
    init: Path | None = None

    def folder(self, kind: str) -> Path:
        """The run folder of a kind on this image model."""
        return self.runs / f"adapter-{kind}-{re.sub(r'[^A-Za-z0-9._-]+', '-', Path(self.model).name)}"


def train_on_pairs(kind: str, work: PairWork, **changes: Any) -> dict[str, float]:
    """Train an adapter of a kind with its defaults and `changes` to them; returns its last scores.

    Raises InputError when the folder, the model and the ear do not go together.
    """
    recipe = PAIR_TRAINING[kind]
    Pairs.load(work.data)  # a bad folder is refused before a model is loaded
    if work.vectors != 1 and kind != "word":
        raise InputError(f"--vectors is for the kind 'word'; an adapter {kind!r} has its own number: leave it out.")
    if work.init is not None and work.vectors != 1:
        raise InputError("--vectors is settled by the adapter that --init names: leave it out.")
    defaults = dict(recipe.defaults)
    if recipe.rate is not None:
        from studio.training.workers import processes

        batch = changes.get("batch_size", defaults["batch_size"]) * changes.get("accumulate", 1) * processes()
        defaults["learning_rate"] = recipe.rate * batch
    notes = {"name": kind, "data": work.data.name, "model": Path(work.model).name, "ear": work.ear or recipe.ear}
    device = str(pick_device(work.device).device)
    return run_task(lambda: build(kind, work), work.folder(kind), defaults, device, notes, **changes)


def build(kind: str, work: PairWork) -> PairTask:
    """The task: everything loaded, heard and encoded."""
    recipe, pairs = PAIR_TRAINING[kind], Pairs.load(work.data)
    without = "" if recipe.text or "+text=none" in work.model else "+text=none"
    backbone = load_backbone(work.model + without, pick_device(work.device))
    size = work.size or backbone.defaults.native_size
    check_size(backbone, size, size)
    ear = ENCODERS.get(work.ear or recipe.ear).load()
    cache = work.runs / "cache"
    heard = listen_to_pairs(pairs, ear, recipe.seconds, recipe.copies, cache)
    latents = encode_pictures(pairs, backbone, size, cache)
    return recipe.task(PairParts(pairs, heard, latents, backbone, ear, work.vectors, work.init))
