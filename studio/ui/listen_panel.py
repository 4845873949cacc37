"""Listening before painting: the joined sound, and each sound alone exactly as the ear gets it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.recipe import Recipe
from studio.result import HeardScene
from studio.sound.clip import Clip
from studio.ui import status, words
from studio.ui.jobs import sentence
from studio.ui.service import Service
from studio.ui.sounds import as_wav, heard_part, look

Updates = dict[Any, Any]
SCENE = "scene"  # what is played: this, or the letter of a track


@dataclass(frozen=True)
class Arranged:
    """What the scene in view was made of.

    letters: of the recipe's tracks.  shares: of the picture, 0..1, one a track; None = one sound has all of it.
    """

    recipe: Recipe
    letters: tuple[str, ...]
    shares: tuple[float, ...] | None

    @property
    def share_line(self) -> str:
        """How much of the picture each sound gets, in words; empty for one sound."""
        if self.shares is None or len(self.letters) < 2:
            return ""
        parts = (f"{letter} {status.percent(share)}" for letter, share in zip(self.letters, self.shares, strict=True))
        return words.SHARES.format(shares=" · ".join(parts))


@dataclass(frozen=True)
class ListenPanel:
    """The button, and what it brings into view.

    which: what is played, the scene or one track.  arranged: State of Arranged, None = no scene is in view.
    line: says what goes on, on the desk too.
    """

    service: Service
    listen: gr.Button
    line: gr.HTML
    scene: gr.Column
    which: gr.Radio
    sound: gr.Audio
    facts: gr.HTML
    heard: gr.HTML
    arranged: gr.State

    @property
    def restoring(self) -> list[Any]:
        """Everything that `hidden` changes."""
        return [self.scene, self.arranged, self.line]

    @property
    def changing(self) -> list[Any]:
        """Everything that pressing the button may change."""
        return [*self.restoring, self.which, self.sound, self.facts, self.heard]

    def joined(self, recipe: Recipe, letters: tuple[str, ...]) -> Updates:
        """The joined sound of a recipe in view, to be listened to. Raises HearsightError for a scene without sound."""
        scene = self.service.scene(recipe)
        sounding = [letter for letter, one in zip(letters, scene.alone, strict=True) if one is not None]
        return {
            self.scene: gr.Column(visible=True),
            self.which: gr.Radio(_choices(sounding), value=SCENE),
            **self._plays(scene.clip, words.SCENE_MORPH if recipe.join == "morph" else words.SCENE, SCENE),
            self.arranged: Arranged(recipe, letters, scene.shares),
            self.line: "",
        }

    def picked(self, which: str, arranged: Arranged | None) -> Iterator[Updates]:
        """The scene or one of its tracks was chosen: play that, and say what the ear hears in it."""
        if arranged is None:
            yield {self.line: gr.skip()}
            return
        try:
            if which == SCENE:
                yield {**self.joined(arranged.recipe, arranged.letters), self.which: gr.skip()}
            else:
                while (clips := self.service.as_heard(arranged.recipe)) is None:
                    yield {self.heard: status.heard_note(words.HEARS_LATER)}
                clip = clips[arranged.letters.index(which)]
                assert clip is not None  # it was not offered
                yield self._plays(clip, words.EAR_GETS.format(letter=which, rate=f"{clip.rate / 1000:g}"), which)
            for updates, _ in self.hears(which, arranged):
                yield updates
        except Exception as error:  # a file that is gone meanwhile: the page says so
            yield {**self.hidden(), self.line: status.mistake(sentence(error))}

    def hears(self, which: str, arranged: Arranged) -> Iterator[tuple[Updates, HeardScene | None]]:
        """What the ear hears in what is played, as soon as there is an ear; then also all that it heard."""
        while (heard := self.service.hear_scene(arranged.recipe)) is None:
            yield {self.heard: status.heard_note(words.HEARS_LATER)}, None
        # Not how loud it is: the line of facts above says that of what is played, which is one channel for the ear.
        alone = None if which == SCENE else heard.tracks[arranged.letters.index(which)]
        said = (
            status.heard(heard.scene.labels, None, arranged.share_line)
            if alone is None
            else status.heard(alone.labels)
        )
        yield {self.heard: said}, heard

    def _plays(self, clip: Clip, label: str, name: str) -> Updates:
        """A sound in the player, as floats: not a sample is rounded or bent."""
        stem = words.SCENE_FILE if name == SCENE else f"{words.SCENE_FILE}-{name.lower()}"
        seen = look(str(as_wav(clip, stem, "FLOAT")))
        return {
            self.sound: gr.Audio(seen.path, label=label),
            self.facts: heard_part(seen, 0.0, seen.seconds),
            self.heard: status.heard_note(words.LISTENING),
        }

    def hidden(self) -> Updates:
        """No scene in view."""
        return {self.scene: gr.Column(visible=False), self.arranged: None, self.line: ""}


def _choices(letters: list[str]) -> list[tuple[str, str]]:
    return [(words.SCENE_SHORT, SCENE), *((words.SOUND_LETTER.format(letter=letter), letter) for letter in letters)]


def build_listen(service: Service) -> ListenPanel:
    """Lay the controls out inside the current Gradio block and wire the choice; the button is the desk's to wire."""
    listen = gr.Button(words.LISTEN, size="md", elem_id="listen")
    line = gr.HTML("", elem_id="desk_status")
    with gr.Column(visible=False, elem_id="scene") as scene:
        which = gr.Radio(
            _choices([]),
            value=SCENE,
            label=words.SCENE_WHICH,
            info=words.SCENE_ABOUT,
            elem_id="scene_which",
            elem_classes="chips",
        )
        sound = gr.Audio(
            label=words.SCENE,
            type="filepath",
            interactive=False,
            elem_id="scene_sound",
            buttons=["download"],
            waveform_options=gr.WaveformOptions(waveform_color="#a78bfa", waveform_progress_color="#6d28d9"),
        )
        facts = gr.HTML("", elem_id="scene_facts")
        heard = gr.HTML("", elem_id="scene_heard")
    panel = ListenPanel(service, listen, line, scene, which, sound, facts, heard, gr.State(None))
    which.input(
        panel.picked,
        [which, panel.arranged],
        panel.changing,
        concurrency_id="ear",
        show_progress="hidden",
        api_visibility="private",
    )
    return panel
