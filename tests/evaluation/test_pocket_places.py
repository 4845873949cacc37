"""The embedded model puts two sounds that are panned apart each into its half of the picture.

Real weights and real recordings, none of which was trained on: the starter sounds.
"""

from __future__ import annotations

import numpy as np
import pytest

from studio.engine import Engine
from studio.evaluation.classifier import PictureClassifier
from studio.evaluation.placement import APART, MIDDLE, Places, look
from studio.paths import assets_folder
from studio.recipe import Recipe, Track
from studio.scene import match_loudness

# A starter sound, and the classes of pictures that may stand for it.
SHOWN = {
    "fire": ["fire", "candle"],
    "sea_waves": ["sea"],
    "forest_birds": ["forest", "bamboo_forest", "bird"],
    "dog": ["dog"],
    "rain": ["rain"],
    "cat": ["cat"],
    "thunderstorm": ["cloudy_storm_sky"],
    "church_bells": ["church"],
}


@pytest.fixture(scope="module")
def found() -> dict[tuple[float, float], list[Places]]:
    """For each pair of pans what the halves show: each starter beside the next one, with two seeds."""
    engine, classifier = Engine(), PictureClassifier.load()
    names = list(SHOWN)
    found: dict[tuple[float, float], list[Places]] = {APART: [], MIDDLE: []}
    for seed, (left, right) in enumerate(zip(names, names[1:] + names[:1], strict=True)):
        for pans, places in found.items():
            files = (assets_folder() / "sounds" / f"{name}.ogg" for name in (left, right))
            tracks = match_loudness([Track.of(file, pan=pan) for file, pan in zip(files, pans, strict=True)])
            for shift in (0, 100):
                # In the first stage: there it is decided what is where.
                recipe = Recipe(
                    tracks=tracks, seed=seed + shift, preview_every=0, num_inference_steps=12, width=128, height=128
                )
                places.append(look(classifier, engine.run(recipe).images[0], (SHOWN[left], SHOWN[right])))
    return found


def share(found: dict[tuple[float, float], list[Places]], pans: tuple[float, float], what: str) -> float:
    return float(np.mean([getattr(places, what) for places in found[pans]]))


def test_each_is_found_in_its_half(found: dict[tuple[float, float], list[Places]]) -> None:
    """Among the first five classes of its half. In the middle both may be among them on both sides: 0.3 to 0.5."""
    apart, middle = share(found, APART, "both"), share(found, MIDDLE, "both")
    assert apart >= 0.6
    assert apart > middle


def test_each_half_shows_its_own_sound_rather_than_the_other(found: dict[tuple[float, float], list[Places]]) -> None:
    apart, middle = share(found, APART, "named"), share(found, MIDDLE, "named")
    assert apart >= 0.6
    assert apart >= 2 * middle
