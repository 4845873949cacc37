"""The left side, first half: the first sound, further ones on a desk, and the word of a restored picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import gradio as gr

from studio.recipe import Recipe, Track
from studio.ui import words
from studio.ui.desk_panel import DeskPanel, all_inputs, build_desk
from studio.ui.service import Service
from studio.ui.sounds import starters
from studio.ui.track_controls import TrackControls, build_track

Updates = dict[Any, Any]


@dataclass(frozen=True)
class SoundPanel:
    """The controls of all sounds.

    first: the page's first sound, A.  desk: the further ones, and how all become one.
    carried: State of Recipe | None, a picture's recipe whose word is used as long as no sound is changed.
    """

    first: TrackControls
    desk: DeskPanel
    carried: gr.State

    @property
    def inputs(self) -> dict[str, Any]:
        """What making a picture reads, by name."""
        return {**all_inputs(self.desk.tracks, self.desk), "carried": self.carried}

    @property
    def facts(self) -> list[gr.State]:
        """What is known about each sound, in the order of the tracks."""
        return [track.facts for track in self.desk.tracks]

    @property
    def heard(self) -> list[gr.HTML]:
        """Where it is said what the ear hears, in the order of the tracks."""
        return [track.heard for track in self.desk.tracks]

    @property
    def changing(self) -> list[Any]:
        """Everything that a restored picture may change."""
        tracks = [control for track in self.desk.tracks for control in track.restoring]
        return [self.carried, *tracks, *self.desk.restoring]

    def restore(self, recipe: Recipe, facts: Sequence[object]) -> Updates:
        """The updates that put a picture's sounds back.

        The word that the picture carries is used in any case; a sound itself comes back too when it is a starter, one
        that is there, or kept. facts: what is known about the sounds that are there.
        """
        updates: Updates = {self.carried: recipe}
        for controls, track in zip_longest(self.desk.tracks, recipe.tracks or (Track(),)):
            updates |= controls.emptied() if track is None else controls.restore(track, facts)
        return {**updates, **self.desk.restore(recipe)}


def build_sound_panel(service: Service) -> SoundPanel:
    """Lay the controls out inside the current Gradio block, with the first starter in place, and wire them."""
    known = starters()
    gr.HTML(f"<h2><span>1</span> {words.SOUND_HEADING}</h2>", elem_classes="heading")
    first = build_track(service, "A", known[0].name if known else None)
    return SoundPanel(first, build_desk(service, first), gr.State(None))
