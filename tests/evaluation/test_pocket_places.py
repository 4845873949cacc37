"""The embedded model puts two sounds that are panned apart each into its half of the picture.

Real weights and real recordings, none of which was trained on: the starter sounds.
"""

from __future__ import annotations

import numpy as np
import pytest

from studio.engine import Engine
from studio.evaluation.classifier import PictureClassifier
from studio.evaluation.placement import APART, MIDDLE, look
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
def found() -> dict[tuple[float, float], list[bool]]:
    """For each pair of pans, whether both sounds were found in their halves: each starter beside the next one."""
    engine, classifier = Engine(), PictureClassifier.load()
    names = list(SHOWN)
    found: dict[tuple[float, float], list[bool]] = {APART: [], MIDDLE: []}
    for seed, (left, right) in enumerate(zip(names, names[1:] + names[:1], strict=True)):
        for pans, hits in found.items():
            files = (assets_folder() / "sounds" / f"{name}.ogg" for name in (left, right))
            tracks = match_loudness([Track.of(file, pan=pan) for file, pan in zip(files, pans, strict=True)])
            for shift in (0, 100):
                recipe = Recipe(tracks=tracks, seed=seed + shift, preview_every=0)
                hits.append(look(classifier, engine.run(recipe).images[0], (SHOWN[left], SHOWN[right])).both)
    return found


def test_each_is_found_in_its_half(found: dict[tuple[float, float], list[bool]]) -> None:
    apart, middle = (float(np.mean(found[pans])) for pans in (APART, MIDDLE))
    assert apart >= 0.6
    assert apart >= 2 * middle
