"""Refining the word of one sound on a few pictures: textual inversion (Gal et al., 2022) that begins at A*.

AAI's A* = f + adapter(f) says what the adapter has learned of all sounds; some steps of the denoising loss on pictures
that the artist chose for this sound move it towards what these pictures show. Nothing but the word changes, and each
of its vectors keeps its length, which is that of an ordinary word.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from studio.backbones.base import Backbone
from studio.diffusion.prompt import embed_each
from studio.editing.photo import read_photo, to_pixels
from studio.errors import InputError
from studio.recipe import Recipe
from studio.training.denoising import Denoising
from studio.word import pack_word, unpack_word

PROMPTS = ("a photo of A*", "a photo of the A*", "a picture of A*", "A*")
MOST_PICTURES = 64
BATCH = 4  # pictures a step


@dataclass(frozen=True)
class Refining:
    """How far a refinement is. index: 1..total.  loss: of this step.  eta: seconds left.

    word: as `Recipe.word`, what is reached so far; whoever stops here may keep it.
    """

    index: int
    total: int
    loss: float
    eta: float
    word: str


def refine(
    backbone: Backbone,
    recipe: Recipe,
    pictures: Sequence[str | Path | Image.Image],
    *,
    steps: int = 60,
    rate: float = 0.05,
    size: int | None = None,
    seed: int = 0,
) -> Iterator[Refining]:
    """Refine the word that a resolved recipe carries; closing the iterator stops, and leaves the model as it was.

    steps: 1..2000.  rate: how far a step turns the word, as a share of its length.  size: of the pictures in px, cut
    evenly to squares; None = the model's native one. Raises InputError when there is no word or no picture to use.
    """
    if recipe.word is None or recipe.shares is not None or recipe.adapter_sha256 is not None:
        raise InputError("Refining needs one sound whose adapter makes a word alone: use 'word' or 'concepts'.")
    if not 1 <= len(pictures) <= MOST_PICTURES:
        raise InputError(f"Refining takes 1 to {MOST_PICTURES} pictures, but {len(pictures)} were given.")
    if not 1 <= steps <= 2000:
        raise InputError(f"Refining takes 1 to 2000 steps, but {steps} were asked for.")
    side = size or backbone.defaults.native_size
    denoising, device = Denoising(backbone), backbone.choice.device
    start = torch.from_numpy(unpack_word(recipe.word)).to(device)
    if start.shape[1] != backbone.dims.text_width:
        raise InputError("The word was made for another image model: refine it on the model that it is for.")
    images = [read_photo(picture, "picture").image for picture in pictures]
    with backbone.lock:
        latents = torch.cat([backbone.encode(to_pixels(image, (side, side))) for image in images])
    return _steps(backbone, denoising, start, latents, steps, rate, seed)


def _steps(
    backbone: Backbone, denoising: Denoising, start: Tensor, latents: Tensor, steps: int, rate: float, seed: int
) -> Iterator[Refining]:
    length = start.norm(dim=-1, keepdim=True)  # [n, 1]
    direction = F.normalize(start, dim=-1).requires_grad_(True)
    # Adam moves each of D numbers by about the rate, so the whole vector by sqrt(D) times as much.
    optimizer = torch.optim.Adam([direction], lr=rate * start.shape[1] ** -0.5)
    generator, began = torch.Generator().manual_seed(seed), time.monotonic()
    for index in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = rate * start.shape[1] ** -0.5 * (1 - (index - 1) / steps)
        chosen = torch.randint(len(latents), (BATCH,), generator=generator)
        mirrored = torch.rand(BATCH, generator=generator) < 0.5
        batch = torch.where(mirrored.view(-1, 1, 1, 1).to(latents.device), latents[chosen].flip(-1), latents[chosen])
        with torch.enable_grad(), backbone.lock:
            loss = error(backbone, denoising, direction, length, batch, PROMPTS[index % len(PROMPTS)], generator)
            loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            direction.copy_(F.normalize(direction, dim=-1))
            word = pack_word((direction * length).cpu().numpy())
        spent = time.monotonic() - began
        yield Refining(index, steps, float(loss.detach()), spent / index * (steps - index), word)


def error(
    backbone: Backbone,
    denoising: Denoising,
    direction: Tensor,
    length: Tensor,
    latents: Tensor,
    prompt: str,
    generator: torch.Generator,
) -> Tensor:
    """The mean denoising error of pictures float32 [B, C, h, w] under a prompt with the word direction * length."""
    word = F.normalize(direction, dim=-1) * length
    states = embed_each(backbone, prompt, word.expand(len(latents), -1, -1))
    return denoising.errors(latents, states, generator).mean()


@torch.no_grad()
def measured(
    backbone: Backbone,
    word: str,
    pictures: Sequence[str | Path | Image.Image],
    size: int | None = None,
    draws: int = 4,
) -> float:
    """The mean denoising error of pictures under "a photo of A*" on fixed noise, to compare words by."""
    side = size or backbone.defaults.native_size
    denoising, vectors = Denoising(backbone), torch.from_numpy(unpack_word(word)).to(backbone.choice.device)
    length, total = vectors.norm(dim=-1, keepdim=True), 0.0
    with backbone.lock:
        for number, picture in enumerate(pictures):
            latents = backbone.encode(to_pixels(read_photo(picture, "picture").image, (side, side)))
            generator = torch.Generator().manual_seed(number)
            same = latents.expand(draws, -1, -1, -1)
            total += float(error(backbone, denoising, vectors, length, same, PROMPTS[0], generator))
    return total / len(pictures)
