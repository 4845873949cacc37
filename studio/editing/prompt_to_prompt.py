"""Prompt-to-prompt: Hertz et al., "Prompt-to-Prompt Image Editing with Cross Attention Control", ICLR 2023.

The new prompt is painted from the photo's noise, but each place looks at its words as it looked at those of the source
prompt when the photo was read. What differs between the prompts is what changes: A* in the place of a word, or added.

With the self-attention, features of the decoder are held too, as plug-and-play does. Twelve held-out photos, pocket:
without them the self-similarity comes 37 % nearer to the photo's than a new picture's is, and holding all attention to
the end changes nothing; with them 49 %, and edges 42 instead of 30 %. Small models have self-attention on 8 x 8 places
and coarser only.

Letters: N positions of the picture, L text positions, H heads, h x w latent size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.backbones.base import Backbone
from studio.diffusion.attention import (
    attention_maps,
    heads_apart,
    hooked,
    layers_of,
    projections,
    recorded,
    replaced,
    unet_of,
)
from studio.diffusion.loop import Extension, Moment
from studio.editing import EDITORS
from studio.editing.base import Editor, Job, KeepOutside, held_steps
from studio.editing.origin import under_negative
from studio.editing.words import Alignment, align
from studio.errors import InputError
from studio.recipe import Edit

COARSE = 1 / 16  # self-attention is held where it has at most this share of the latents' positions, 16 x 16 of 64 x 64
LAST = slice(-1, None)  # the row of the new prompt
# That of the negative prompt, where guidance leads away from one. A picture of ours has no company before it.
FIRST = slice(0, 1)
MASK_STARTS = 0.2  # share of the steps after which attention is clear enough for a mask
MASK_LEVEL = 0.3  # of the strongest place


class Control(Extension):
    """Puts the source's cross-attention into the last row of the batch, the one of the new prompt.

    cross_steps, self_steps: how many steps it does so; after them only `emphasis` acts.
    """

    def __init__(self, job: Job, alignment: Alignment, cross_steps: int, self_steps: int) -> None:
        self._job, self._alignment = job, alignment
        self._unet = unet_of(job.backbone)
        self._layers = layers_of(job.backbone)
        self._cross_steps, self._self_steps = cross_steps, self_steps
        self._area = job.photo.shape[-2] * job.photo.shape[-1]
        self._seen: Tensor | None = None  # [2, h, w]: where the changed words of source and target stand, summed

    def patch(self, moment: Moment) -> Any:
        return self._hooks(moment.index, moment.rows, moment.guidance.leads_away)

    @contextmanager
    def _hooks(self, step: int, rows: slice, leads_away: bool) -> Iterator[None]:
        source = self._job.read
        with ExitStack() as stack:
            if step <= self._self_steps:
                names = projections(self._layers.self_attention, "to_q", "to_k")
                values = source.at(step, names)
                held = {name: one for name, one in values.items() if one.shape[1] <= self._most_positions()}
                stack.enter_context(replaced(self._unet, held, LAST))
                # What guidance leads away from holds them too, or it would go on from their difference and tear the
                # picture. That is what the photo was read with; a picture of ours had a negative prompt of its own.
                stack.enter_context(replaced(self._unet, source.at(step, self._layers.features), rows))
                away = {name: under_negative(name) for name in self._layers.features}
                if leads_away and all(one in source.features for one in away.values()):
                    values = source.at(step, tuple(away.values()))
                    stack.enter_context(replaced(self._unet, {name: values[away[name]] for name in away}, FIRST))
            if step <= self._cross_steps or self._job.edit.emphasis != 1 or self._job.edit.local:
                now: dict[str, Tensor] = {}
                names = projections(self._layers.cross_attention, "to_q", "to_k", "to_v")
                stack.enter_context(recorded(self._unet, names, now))
                hooks = {name: self._attend(name, step, now) for name in self._layers.cross_attention}
                stack.enter_context(hooked(self._unet, hooks))
            yield

    def _most_positions(self) -> float:
        """16 x 16 of Stable Diffusion's 64 x 64; what is coarser than 8 x 8 is held in small models too."""
        return max(self._area * COARSE, 64)

    def _attend(self, name: str, step: int, now: dict[str, Tensor]) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        """A hook that gives the attention `name` its last row again, computed with the controlled map."""

        def hook(module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            layer: Any = module
            query, key, value = (now[f"{name}.{which}"][-1] for which in ("to_q", "to_k", "to_v"))
            own = attention_maps(query, key, layer.heads, layer.scale)
            then = self._job.read.at(step, projections((name,), "to_q", "to_k"))
            then_query, then_key = (then[f"{name}.{which}"][0].to(own) for which in ("to_q", "to_k"))
            source = attention_maps(then_query, then_key, layer.heads, layer.scale)
            if self._job.edit.local:
                self._look(source, own)
            # [H, N, L] x [L, L]: the source's column for each word of the target
            matrix, taken = self._alignment.matrix.to(own), self._alignment.taken.to(own)
            maps = (source @ matrix) * taken + own * (1 - taken) if step <= self._cross_steps else own
            maps = maps * self._alignment.emphasis(self._job.edit.emphasis).to(own)
            attended = maps.to(value.dtype) @ heads_apart(value, layer.heads)
            row = layer.to_out[0](attended.transpose(0, 1).flatten(1))
            mixed = output.clone()
            mixed[-1] = row
            return mixed

        return hook

    def _look(self, source: Tensor, own: Tensor) -> None:
        """Add what a layer sees of the changed words, where it is coarse enough to mean whole things."""
        if own.shape[1] > self._most_positions():
            return
        high, wide = self._job.photo.shape[-2:]
        scale = (high * wide / own.shape[1]) ** 0.5
        rows = round(high / scale)
        both = torch.stack(
            [
                source[..., list(self._alignment.changed_source)].sum(-1).mean(0),
                own[..., list(self._alignment.changed_target)].sum(-1).mean(0),
            ]
        )
        if both.shape[1] % rows:
            return
        there = F.interpolate(both.unflatten(1, (rows, -1))[None], (high, wide), mode="bilinear")[0]
        self._seen = there if self._seen is None else self._seen + there

    def mask(self, step: int) -> Tensor | None:
        """LocalBlend: where the changed words stand, float32 [1, 1, h, w] of 0 and 1; None while it is too early."""
        if self._seen is None or step <= MASK_STARTS * self._job.steps:
            return None
        wide = F.max_pool2d(self._seen[None], 3, stride=1, padding=1)[0]
        wide = wide / wide.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)
        return (wide > MASK_LEVEL).any(dim=0).to(self._job.photo)[None, None]


@EDITORS.register("p2p")
class PromptToPrompt(Editor):
    """keep_detail is the share of steps that hold the cross-attention (the authors: 0.8), keep_layout of those that
    hold the self-attention (0.4) and the features."""

    replays = True

    @classmethod
    def check(cls, edit: Edit, known: bool = False) -> None:
        if not known and not edit.source_prompt.strip():
            raise InputError(
                "Prompt-to-prompt exchanges words, so it must know what the photo shows: give a source prompt, for "
                'example "a photo of a street", and the same with A* as the prompt. Only a PNG that Hearsight made '
                "with this model says it itself, at its own size and number of steps."
            )

    @classmethod
    def layers(cls, backbone: Backbone) -> tuple[str, ...]:
        found = layers_of(backbone)
        attention = projections((*found.self_attention, *found.cross_attention), "to_q", "to_k")
        return (*found.features, *attention)

    def extensions(self, job: Job) -> list[Extension]:
        edit = job.edit
        before = job.source_prompt or edit.source_prompt
        alignment = align(job.backbone, before, job.prompt, job.word_length, edit.words, job.source_word_length)
        if edit.local and not alignment.changed_target:
            raise InputError(
                "The prompt has no word of its own that could say where to change: put one in the place of a word of "
                "the source prompt, or give a mask."
            )
        cross, same = held_steps(edit.keep_detail, job.steps), held_steps(edit.keep_layout, job.steps)
        control = Control(job, alignment, cross, same)
        if not edit.local:
            return [control]
        return [control, KeepOutside(lambda step: self.outside(job, step), control.mask, job.photo)]
