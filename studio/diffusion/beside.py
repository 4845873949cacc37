"""Sounds beside the text: tokens of the sound in cross-attention layers of the adapter's own, guided with the text.

SonicDiffusion (Biner et al., 2024) guides by both at once: away from the negative prompt without a sound, towards the
prompt with it. "Without a sound" are the adapter's null tokens.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor

from studio.adapters.base import Adapter
from studio.backbones.base import TextStates
from studio.diffusion.loop import Extension, Moment
from studio.errors import InputError


class Beside(Extension):
    """One sound beside the text, in every step.

    tokens: float32 [1, M, E], made by `adapter`.  strength: of its layers, 0..1.
    alone: only the last row of the batch reads anything, the sound. So photos are edited: guidance then leads away
    from exactly what the photo was read with, which was neither this sound nor none.
    Raises InputError when another adapter made the tokens.
    """

    def __init__(self, adapter: Adapter, tokens: Tensor, strength: float = 1.0, *, alone: bool = False) -> None:
        self.adapter, self.tokens, self.strength, self.alone = adapter, tokens, strength, alone
        self.null = adapter.null_tokens().to(tokens)
        if self.null.shape != tokens.shape:
            raise InputError(
                f"The sound's tokens have the form {list(tokens.shape[1:])}, and the adapter {adapter.name!r} reads "
                f"{list(self.null.shape[1:])}. Use the adapter they were made with."
            )

    def patch(self, moment: Moment) -> AbstractContextManager[Any]:
        if self.alone:
            return self.adapter.hooks(moment.backbone, self.tokens, self.strength)
        # The rows of the batch are those of the text: negative, (words alone,) all.
        null, sound = TextStates(self.null), TextStates(self.tokens)
        rows = moment.guidance.states(null, null, sound).tokens
        return self.adapter.hooks(moment.backbone, rows, self.strength)


class Along(Extension):
    """What an adapter has learned beside its word (a LoRA) draws along, in every step."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter

    def patch(self, moment: Moment) -> AbstractContextManager[Any]:
        return self.adapter.along(moment.backbone)


def instead_of_text(adapter: Adapter, tokens: Tensor) -> tuple[TextStates, TextStates]:
    """What is read for no sound and for the sound, of an adapter that stands in the text's place: a row each.

    tokens: float32 [1, M, E], made by `adapter`.  Raises InputError when another adapter made them.
    """
    null = adapter.null_tokens().to(tokens)
    if null.shape != tokens.shape:
        raise InputError(
            f"The sound's tokens have the form {list(tokens.shape[1:])}, and the adapter {adapter.name!r} reads "
            f"{list(null.shape[1:])}. Use the adapter they were made with."
        )
    return TextStates(null), TextStates(tokens)
