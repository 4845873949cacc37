"""Placement: of several sounds, each one's word acts with its share, and in its own part of the picture if panned.

In every cross-attention layer each region's prompt (the same words, with that sound's A*) is attended to on its own,
and the outputs are blended by the regions. That is how Bar-Tal et al. ("MultiDiffusion", ICML 2023, Equation 5) blend
predictions, moved into the layer where words meet places: one U-Net evaluation a step whatever the number of sounds,
and self-attention and convolutions, which see the whole picture, keep it one scene.

Sounds that all stand at the same place part the picture by themselves (see `parting`), or, as pictures were drawn
before that and as morphs are, act everywhere, each with its share.

Letters: R rows of the batch, the prompt's is the last; n regions; h x w latent size; N tokens of a layer;
L text positions; E context width; D width of a layer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor

from studio.backbones.base import Backbone
from studio.diffusion.loop import Extension, Moment
from studio.diffusion.parting import SETTLED, Parting
from studio.diffusion.prompt import embed
from studio.diffusion.regions import Regions
from studio.errors import HearsightError


class Placement(Extension):
    """Puts each region's prompt in its place.

    states: float32 [n, L, E], the text states of each region's prompt, in the order of `regions.columns`.
    without: float32 [1, L, E], those of the prompt without A*, for sounds at one place that part the picture; it costs
    n + 1 rows more in the first steps. None = by the pans alone.
    Only the prompt's own row is changed; the negative prompt's and that of the words alone stay as they are. Where all
    regions have the same states the picture is the ordinary one, up to rounding.
    """

    def __init__(self, regions: Regions, states: Tensor, without: Tensor | None = None) -> None:
        if len(states) != len(regions.pans) + regions.rest:
            raise ValueError(f"{len(states)} states for {len(regions.pans) + regions.rest} regions")
        if without is not None and (not regions.everywhere or len(states) < 2):
            raise ValueError("only several sounds at one place part the picture")
        self._regions, self._states, self._without = regions, states, without
        self._parting = Parting(regions.shares)
        self._plain = False  # whether the layers are left alone
        self._masks: dict[tuple[int, int], Tensor] = {}  # by height and width of a layer's grid

    @contextmanager
    def patch(self, moment: Moment) -> Iterator[None]:
        """Hooks on all cross-attention layers. For a model that has none, raises HearsightError where places are asked
        for; without places it draws from the word between the sounds' words.
        """
        layers = cross_attentions(moment)
        if not layers and not self._regions.everywhere:
            raise HearsightError("This model has no cross-attention, so sounds cannot be placed in its picture.")
        size = (int(moment.latents.shape[-2]), int(moment.latents.shape[-1]))
        with ExitStack() as hooks:
            for layer in layers:
                before = layer.register_forward_pre_hook(self._apart, with_kwargs=True)
                hooks.callback(before.remove)
                hooks.callback(layer.register_forward_hook(self._together(size, len(moment.states))).remove)
            yield

    def before_predict(self, moment: Moment) -> None:
        """In the first steps: what does each word alone change, and where?"""
        if self._without is None or not cross_attentions(moment):
            return
        if moment.index == 1:
            self._parting.begin()
        if moment.index > max(1, round(SETTLED * moment.total)):
            return
        tokens = torch.cat([self._without, self._states]).to(moment.states.tokens)
        last = moment.states[-1:]
        scaled = moment.scheduler.scale_model_input(moment.latents, moment.timestep)
        # One by one: many sounds take no more memory than one, and the order of the sounds changes no bit of a row.
        self._plain = True
        try:
            without, *each = (
                moment.backbone.predict(scaled, moment.timestep, last.replace(tokens=one)) for one in tokens.split(1)
            )
        finally:
            self._plain = False
        self._parting.look(without, torch.cat(each))
        self._masks.clear()

    def _apart(self, _layer: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The prompt's row once for each region, each with its states: [R, N, D] -> [R - 1 + n, N, D].

        A layer that attends to anything but the prompt, such as an adapter's own, is left alone.
        """
        states = named.get("encoder_hidden_states")
        if self._plain or states is None or states.shape[1:] != self._states.shape[1:]:
            return inputs, named
        named = dict(named)
        hidden = inputs[0] if inputs else named["hidden_states"]
        regions = self._states.to(states)
        hidden = torch.cat([hidden[:-1], hidden[-1:].expand(len(regions), *[-1] * (hidden.ndim - 1))])
        named["encoder_hidden_states"] = torch.cat([states[:-1], regions])
        if not inputs:
            return inputs, named | {"hidden_states": hidden}
        return (hidden, *inputs[1:]), named

    def _together(self, size: tuple[int, int], rows: int) -> Any:
        """The hook that blends the regions' outputs: [R - 1 + n, N, D] -> [R, N, D]. rows: R."""
        count = len(self._states)

        def blend(_layer: Any, _inputs: Any, output: Tensor) -> Tensor:
            if self._plain or len(output) == rows:
                return output
            masks = self._mask(*layer_grid(size, output.shape[1])).to(output)
            return torch.cat([output[:-count], (masks[..., None] * output[-count:]).sum(0, keepdim=True)])

        return blend

    def _mask(self, height: int, width: int) -> Tensor:
        """float32 [n, N]: the regions on a layer's grid, row by row."""
        if (height, width) not in self._masks and self._without is not None:
            self._masks[height, width] = self._parting.masks(height, width)
        elif (height, width) not in self._masks:
            columns = self._regions.columns(width)
            self._masks[height, width] = columns[:, None].expand(-1, height, -1).flatten(1)
        return self._masks[height, width]


def place(
    backbone: Backbone, prompt: str, regions: Regions, words: Sequence[Tensor], parted: bool = False
) -> Placement:
    """The placement of several sounds' words, float32 [m, D] each, in one prompt with A*.

    parted: whether sounds at one place part the picture.
    Where only the prompt's other words act, A* is left out of it. Raises InputError as `embed` does.
    """

    def spoken(word: Tensor) -> Tensor:
        return embed(backbone, [prompt], word).tokens

    none = words[0][:0]
    every = [*words, none] if regions.rest else words
    return Placement(regions, torch.cat([spoken(word) for word in every]), spoken(none) if parted else None)


def cross_attentions(moment: Moment) -> list[Attention]:
    """Every layer of the network in which a picture's tokens attend to text states."""
    network = moment.backbone.modules().get("unet")
    if network is None:  # a transformer's layers see no grid of places that a picture's size gives away
        return []
    return [layer for layer in network.modules() if isinstance(layer, Attention) and layer.is_cross_attention]


def layer_grid(size: tuple[int, int], tokens: int) -> tuple[int, int]:
    """Height and width of the grid that a layer's N tokens stand on, from the latents' size (h, w).

    A U-Net halves both sides, rounding up, from level to level. Raises HearsightError when no level has N tokens.
    """
    height, width = size
    while height * width > tokens and (height, width) != (1, 1):
        height, width = -(-height // 2), -(-width // 2)
    if height * width != tokens:
        raise HearsightError(
            f"A layer of this model has {tokens} places, which fits no level of a picture with {size[1]} x {size[0]} "
            "latents; sounds cannot be placed in it."
        )
    return height, width
