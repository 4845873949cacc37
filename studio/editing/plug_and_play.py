"""Plug-and-play: Tumanyan et al., "Plug-and-Play Diffusion Features for Text-Driven Image-to-Image Translation", 2023.

The photo's noise is painted again under the new prompt, while features of the decoder and the queries and keys of
the self-attention above it are those that the network had when it read the photo. Both are taken from what reading has
recorded, so an edit costs the two evaluations a step of ordinary guidance, and not three.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from studio.backbones.base import Backbone
from studio.diffusion.attention import layers_of, projections, replaced, unet_of
from studio.diffusion.loop import Extension, Moment
from studio.editing import EDITORS
from studio.editing.base import Editor, Job, held_steps
from studio.editing.sources import Source


class Injection(Extension):
    """For the first `layout_steps` the queries and keys, for the first `detail_steps` the features."""

    def __init__(self, source: Source, backbone: Backbone, layout_steps: int, detail_steps: int) -> None:
        layers = layers_of(backbone)
        self._source, self._unet = source, unet_of(backbone)
        self._features, self._layout = layers.features, projections(layers.layout, "to_q", "to_k")
        self._layout_steps, self._detail_steps = layout_steps, detail_steps

    def names(self, step: int) -> tuple[str, ...]:
        """The layers that step 1..n takes from the source."""
        features = self._features if step <= self._detail_steps else ()
        return features + (self._layout if step <= self._layout_steps else ())

    def patch(self, moment: Moment) -> AbstractContextManager[Any]:
        return replaced(self._unet, self._source.at(moment.index, self.names(moment.index)), moment.rows)


@EDITORS.register("pnp")
class PlugAndPlay(Editor):
    """keep_layout is the method's threshold of the attention (tau_A), keep_detail that of the features (tau_f)."""

    @classmethod
    def layers(cls, backbone: Backbone) -> tuple[str, ...]:
        found = layers_of(backbone)
        return (*found.features, *projections(found.layout, "to_q", "to_k"))

    def extensions(self, job: Job) -> list[Extension]:
        edit = job.edit
        layout, detail = held_steps(edit.keep_layout, job.steps), held_steps(edit.keep_detail, job.steps)
        return [Injection(job.read, job.backbone, layout, detail)]
