"""The listening half of the engine: a track or a scene -> what the ear understood of it, cached by content."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from studio.encoders import ENCODERS
from studio.encoders.base import Encoder, SoundEmbedding
from studio.result import Heard, HeardScene
from studio.scene import Scene, Sound, digest
from studio.sound.clip import Clip
from studio.sound.loudness import lufs

_REMEMBERED = 32  # sounds; an embedding is some hundred kilobytes


class Hearing:
    """Ears, loaded on first use, and what they last heard. Safe to use from several threads."""

    def __init__(self) -> None:
        self._ears: dict[str, Encoder] = {}
        self._embeddings: OrderedDict[tuple[str, str], SoundEmbedding] = OrderedDict()
        self._lock = threading.RLock()

    def ear(self, name: str) -> Encoder:
        """The ear registered under `name`, with its embedded weights or those that the user has put where ears look.

        Raises InputError when there is no such ear, and, with the way to get them, when its weights are not here.
        """
        kind = ENCODERS.get(name)
        with self._lock:
            if name not in self._ears:
                self._ears[name] = kind.load()
            return self._ears[name]

    def listen(self, sound: Sound, encoder: str) -> tuple[SoundEmbedding, Heard]:
        """What the ear called `encoder` makes of one sound (B = 1), and the same in words."""
        ear = self.ear(encoder)
        key = (encoder, digest(sound.clip))
        with self._lock:  # around the ear itself: two requests for one sound listen to it once
            if key not in self._embeddings:
                self._embeddings[key] = ear.encode([sound.clip])
                while len(self._embeddings) > _REMEMBERED:
                    self._embeddings.popitem(last=False)
            self._embeddings.move_to_end(key)
            embedding = self._embeddings[key]
        probabilities = ear.probabilities(embedding)[0].tolist()
        labels = _best_first(zip(ear.labels, probabilities, strict=True))
        start, duration = sound.track.start or 0.0, sound.track.duration or 0.0
        return embedding, Heard(labels, sound.seconds, lufs(sound.clip), (start, start + duration))

    def as_heard(self, sound: Sound, encoder: str) -> Clip:
        """The very samples that the ear called `encoder` gets of a sound: one channel at its own rate, not rounded."""
        ear = self.ear(encoder)
        return Clip(ear.waveform(sound.clip).numpy()[None], ear.sample_rate, sound.clip.name)

    def listen_to_scene(self, scene: Scene, encoder: str) -> tuple[list[tuple[SoundEmbedding, float]], HeardScene]:
        """What the ear makes of a scene: the embeddings (B = 1) of what sounds, each with its share, and all in words.

        The shares add up to 1. Of several sounds the ear hears each alone, because in a mix it often hears a third
        thing; what the scene is called is the mean of their names by their shares.
        """
        heard = [None if sound is None else self.listen(sound, encoder) for sound in scene.alone]
        alone = [one for one in heard if one is not None]
        tracks = [None if one is None else one[1] for one in heard]
        if len(alone) == 1:  # its own part and length are said
            return [(alone[0][0], 1.0)], HeardScene(alone[0][1], tracks)
        shares = [share for share in scene.shares or () if share > 0]
        labels = _weighted_mean([one[1].labels for one in alone], shares)
        together = Heard(labels, scene.clip.seconds, lufs(scene.clip), (0.0, scene.clip.seconds))
        return [(one[0], share) for one, share in zip(alone, shares, strict=True)], HeardScene(together, tracks)


def _weighted_mean(heard: Sequence[list[tuple[str, float]]], weights: Sequence[float]) -> list[tuple[str, float]]:
    mean = dict.fromkeys((label for label, _ in heard[0]), 0.0)
    for labels, weight in zip(heard, weights, strict=True):
        for label, probability in labels:
            mean[label] += weight * probability
    return _best_first(mean.items())


def _best_first(labels: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(labels, key=lambda pair: -pair[1])
