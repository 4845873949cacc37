"""What an edit costs beside the published algorithm's number of U-Net evaluations, on one model in one process.

SonicDiffusion's editing demo takes 250 evaluations of one latent at 50 steps: 100 to invert, 150 to paint. They run
here between one encoding and one decoding, as in an edit, in two ways: one latent at a time, and in the batches of the
demo (two rows a step, then three), which cost less where a model is so small that a call costs more than its rows. Of
ours a whole request is timed, with what it heard carried by the recipe, because hearing costs both the same. All take
turns, the median of three counts.

Prints five lines, seconds of processor time: of the published evaluations, of these in batches, a first edit, one
with a further sound, and of a first edit that does not paint the photo itself again to say how well it comes back
(`Edit.check`); the demo does not do that either.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from studio.backbones.base import Backbone, TextStates
from studio.diffusion.inversion import ddim_scheduler
from studio.diffusion.prompt import embed
from studio.editing.photo import to_pixels
from studio.engine import Engine
from studio.recipe import Edit, Recipe, Track

SOUNDS = Path(__file__).resolve().parents[2] / "assets" / "sounds"
STEPS = 50
TURNS = 3


def photo(number: int) -> Image.Image:
    """A photo that no edit has seen: 256 x 256 px, a few soft shapes."""
    places = np.mgrid[0:256, 0:256] / 256
    waves = [np.sin((3 + number + channel) * places[0] + (5 - channel) * places[1] ** 2) for channel in range(3)]
    return Image.fromarray((127.5 + 127 * np.stack(waves, axis=-1)).astype(np.uint8))


@torch.no_grad()
def published(backbone: Backbone, picture: Image.Image, batches: bool) -> None:
    """Encode, 250 evaluations, decode. The numbers that come out mean nothing."""
    side = backbone.defaults.native_size
    latents = backbone.encode(to_pixels(picture, (side, side))).float()
    states = embed(backbone, ["", "a photo"], torch.zeros(0, backbone.dims.text_width))
    for rows, text in ((2, states), (3, TextStates.cat([states[:1], states]))):
        scheduler = ddim_scheduler(backbone, STEPS)
        for timestep in scheduler.timesteps:
            if batches:
                output = backbone.predict(latents.expand(rows, -1, -1, -1), timestep, text)
            else:
                output = torch.cat([backbone.predict(latents, timestep, text[row : row + 1]) for row in range(rows)])
            latents = scheduler.step(output[:1], timestep, latents, return_dict=False)[0]
    backbone.decode(latents)


def seconds(work: Callable[[], object]) -> float:
    """Processor time: the machine may be busy with other things for one of them and not for the other."""
    start = time.process_time()
    work()
    return time.process_time() - start


def turn(engine: Engine, backbone: Backbone, recipes: tuple[Recipe, Recipe, Recipe], number: int) -> list[float]:
    """Seconds of what is listed above, in its order."""
    one, other, plain = recipes
    new, another = photo(number), photo(100 + number)
    return [
        seconds(lambda: published(backbone, new, batches=False)),
        seconds(lambda: published(backbone, new, batches=True)),
        seconds(lambda: engine.run(one, photo=new)),
        seconds(lambda: engine.run(other, photo=new)),
        seconds(lambda: engine.run(plain, photo=another)),
    ]


def main() -> None:
    engine = Engine()
    backbone = engine._models.backbone("pocket")
    recipe = Recipe(num_inference_steps=STEPS, preview_every=0, seed=1)
    heard = [
        engine.resolve(recipe.replace(tracks=(Track.of(SOUNDS / f"{name}.ogg"),)))[0].word for name in ("rain", "fire")
    ]
    one, other = (recipe.replace(tracks=(Track(),), word=word, edit=Edit()) for word in heard)
    plain = one.replace(edit=Edit(check=False))
    engine.run(one, photo=photo(-1))  # to warm up
    published(backbone, photo(-1), batches=True)
    times = [turn(engine, backbone, (one, other, plain), number) for number in range(TURNS)]
    for column in zip(*times, strict=True):
        print(statistics.median(column))


if __name__ == "__main__":
    main()
