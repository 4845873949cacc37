"""From what an ear can name to phrases that an image model can draw: the files of `presets/phrases`.

`EAR.json` holds {"label": "phrase"} for the labels that are not good phrases themselves (null = never drawn), and
`bank.json` {"hear": "the sound of {}", "phrases": [...]} what a sound is compared with by ears that know any text.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from torch import Tensor

from studio.encoders.base import Encoder, SoundEmbedding, TextAligned
from studio.errors import HearsightError, InputError
from studio.paths import presets_folder

BANK = "bank"


class PhraseBook:
    """The phrases an ear can hear. phrases: all different, in their order."""

    def __init__(self, ear: Encoder) -> None:
        self.ear = ear
        self._texts: Tensor | None = None
        if ear.labels:
            named = [phrase_of(label, _labels(ear.name)) for label in ear.labels]
            self.phrases = tuple(dict.fromkeys(phrase for phrase in named if phrase))
            # [labels, phrases]: several labels may be one phrase, and then their probabilities add up.
            self._share = torch.zeros(len(named), len(self.phrases))
            for row, phrase in enumerate(named):
                if phrase:
                    self._share[row, self.phrases.index(phrase)] = 1.0
        elif isinstance(ear, TextAligned):
            self.phrases, self._hear = _bank()
        else:
            raise InputError(
                f"The ear {ear.name!r} names nothing, so no phrases can be made of what it hears. "
                "Use one that does: pocket, ast or clap."
            )

    def probabilities(self, embedding: SoundEmbedding) -> Tensor:
        """How likely each phrase is in each of B sounds, float32 [B, phrases], at least 0."""
        if not isinstance(self.ear, TextAligned) or self.ear.labels:
            return self.ear.probabilities(embedding).cpu() @ self._share
        if self._texts is None:  # a text encoder reads the whole bank: once
            self._texts = self.ear.embed_text([self._hear.format(phrase) for phrase in self.phrases]).cpu()
        sounds = torch.nn.functional.normalize(embedding.pooled.float().cpu(), dim=-1)
        return (self.ear.logit_scale * sounds @ self._texts.T).softmax(-1)


def phrase_of(label: str, known: dict[str, str | None]) -> str | None:
    """What is written for a label: the phrase in the ear's file, else its first name in small letters.

    >>> phrase_of("Rain on surface", {}), phrase_of("Waves, surf", {}), phrase_of("sea_waves", {"sea_waves": "sea"})
    ('rain on surface', 'waves', 'sea')
    """
    if label in known:
        return known[label]
    first = re.sub(r"\(.*?\)", "", label).split(",")[0].replace("_", " ").replace(":", " ")
    return " ".join(first.lower().split()) or None


def _labels(ear: str) -> dict[str, str | None]:
    path = presets_folder() / "phrases" / f"{ear}.json"
    if not path.is_file():
        return {}
    known: dict[str, str | None] = {}
    for label, phrase in _read(path).items():
        if phrase is not None and not (isinstance(phrase, str) and phrase):
            raise HearsightError(f"The preset {path} is damaged: {label!r} must have a phrase or null.")
        known[label] = phrase
    return known


def _bank() -> tuple[tuple[str, ...], str]:
    path = presets_folder() / "phrases" / f"{BANK}.json"
    values = _read(path)
    phrases, hear = values.get("phrases"), values.get("hear", "{}")
    if not isinstance(phrases, list) or not phrases or not all(isinstance(one, str) and one for one in phrases):
        raise HearsightError(f"The preset {path} is damaged: 'phrases' must be a list of phrases.")
    return tuple(dict.fromkeys(phrases)), str(hear)


def _read(path: Path) -> dict[str, object]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HearsightError(f"The preset {path} is damaged: {error}") from error
    if not isinstance(values, dict):
        raise HearsightError(f"The preset {path} is damaged: it must hold names and values.")
    return values
