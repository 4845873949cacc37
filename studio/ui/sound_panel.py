"""The left side, first half: the sound, what we got, which part is heard, and what the ear hears in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from studio.errors import HearsightError
from studio.fields import settings
from studio.recipe import Recipe, Track
from studio.sound.decode import SOUND_SUFFIXES
from studio.ui import status, words
from studio.ui.album import show
from studio.ui.jobs import sentence
from studio.ui.service import Service
from studio.ui.sounds import PLAYABLE, Look, Unusable, heard_part, look, playable, starters

Updates = dict[Any, Any]
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class SoundPanel:
    """The controls of the sound.

    facts: State of Look | Unusable | None, what is known about `sound`.
    carried: State of Recipe | None, a picture's recipe whose word is used as long as no sound is given.
    """

    service: Service
    sound: gr.Audio
    starters: gr.Radio
    credit: gr.HTML
    other: gr.File
    line: gr.HTML
    heard: gr.HTML
    start: gr.Slider
    duration: gr.Slider
    gain: gr.Slider
    facts: gr.State
    carried: gr.State

    @property
    def inputs(self) -> dict[str, Any]:
        """What making a picture reads, by name."""
        names = ("sound", "start", "duration", "gain", "facts", "carried")
        return {name: getattr(self, name) for name in names}

    @property
    def changing(self) -> list[Any]:
        """Everything that a new or a restored sound may change."""
        changed = [self.sound, self.facts, self.carried, self.line, self.heard, self.starters, self.credit]
        return [*changed, self.start, self.duration, self.gain]

    def restore(self, recipe: Recipe, facts: object) -> Updates:
        """The updates that put a picture's sound back.

        The word that the picture carries is used in any case; the sound itself comes back too when it is a starter, or
        the one that is there. facts: what is known about the sound that is there.
        """
        track = recipe.tracks[0] if recipe.tracks else Track()
        updates: Updates = {self.carried: recipe, self.gain: track.gain}
        known = _again(track, facts)
        if known is None:
            text = words.CARRIED.format(name=track.name or words.SOUND_HEADING)
            gone = {self.sound: None, self.facts: None, self.starters: None, self.credit: ""}
            return {**updates, **gone, self.line: status.note(text), self.heard: ""}
        start, duration = part_of(track, known)
        return {
            **updates,
            self.sound: known.path,
            self.facts: known,
            **self._part(known, start, duration),
            self.heard: status.heard_note(words.LISTENING),
            **self._starter_of(known.path),
        }

    def looked_at(self, path: str | None, facts: Look | Unusable | None, carried: Recipe | None) -> Updates:
        """A sound came or went: look at it, set the sliders of its part, forget the last one."""
        if path is None:
            if carried is not None:
                return {self.facts: None}
            return {
                self.facts: None,
                self.starters: None,
                self.credit: "",
                self.line: "",
                self.heard: status.heard_note(words.HEARS_NOTHING_YET),
            }
        if facts is not None and facts.path == path:
            return {self.facts: gr.skip()}  # put there together with what is known about it
        try:
            other_form = playable(path)
            if other_form is not None:
                return {self.sound: other_form}  # which is a change again, and comes back here
            seen = look(path)
        except HearsightError as error:
            text = sentence(error)
            return {
                self.facts: Unusable(path, text),
                self.carried: None,
                self.line: status.mistake(text),
                self.heard: status.heard_note(words.HEARS_NOTHING_YET),
                **self._starter_of(path),
            }
        start, end = seen.window
        return {
            self.facts: seen,
            self.carried: None,
            self.start: gr.Slider(maximum=max(round(seen.seconds - 0.05, 2), 0.05), value=round(start, 2)),
            self.duration: gr.Slider(maximum=max(round(seen.seconds, 2), 0.1), value=round(end - start, 2)),
            self.gain: 0,
            self.line: heard_part(seen, start, end - start),
            self.heard: status.heard_note(words.LISTENING),
            **self._starter_of(path),
        }

    def _part(self, facts: Look, start: float, duration: float) -> Updates:
        """The sliders and the line for one part of a sound."""
        return {
            self.start: gr.Slider(maximum=_latest_start(facts.seconds), value=round(start, 2)),
            self.duration: gr.Slider(maximum=_longest(facts.seconds), value=round(duration, 2)),
            self.line: heard_part(facts, start, duration),
        }

    def _starter_of(self, path: str) -> Updates:
        """Which chip is on, and whom to thank for that sound."""
        for starter in starters():
            if show(starter.path) == path:
                return {self.starters: starter.title, self.credit: _credit(starter.title)}
        return {self.starters: None, self.credit: ""}

    def completed(self, facts: Look | Unusable | None) -> Updates:
        """The page is open: now there is time to measure the loudness of the sound it began with."""
        if not isinstance(facts, Look) or facts.lufs is not None:
            return {self.facts: gr.skip()}
        seen = look(facts.path)
        return {self.facts: seen, self.line: heard_part(seen, *_start_and_length(seen))}

    def redrawn(self, facts: Look | Unusable | None, start: float, duration: float) -> Any:
        """The frame around the heard part, after a slider moved."""
        return heard_part(facts, start, duration) if isinstance(facts, Look) else gr.skip()

    def listened(self, facts: Look | Unusable | None, start: float, duration: float, gain: float) -> Iterator[Any]:
        """What the ear hears in the chosen part, as soon as there is an ear."""
        if not isinstance(facts, Look):
            yield gr.skip()
            return
        try:
            track = track_of(facts, start, duration, gain)
            while (heard := self.service.hear(track)) is None:
                yield status.heard_note(words.HEARS_LATER)
            yield status.heard(heard.labels)
        except Exception as error:  # a model that cannot be loaded, a silent part: the page says so and goes on
            yield status.heard_note(sentence(error))


def track_of(facts: Look, start: float, duration: float, gain: float) -> Track:
    """The track of a looked-at sound. An unmoved window is left open, so that the engine finds the same one itself."""
    track = Track(path=facts.path, name=facts.name, sha256=facts.sha256, gain=gain)
    automatic = part_of(track, facts)
    if same_part((start, duration), automatic):
        return track
    begin = min(max(start, 0.0), max(facts.seconds - 0.05, 0.0))
    return track.replace(start=begin, duration=min(duration, facts.seconds - begin))


def part_of(track: Track, facts: Look) -> tuple[float, float]:
    """(start, duration) in s of the part that a track hears of a sound."""
    start, end = facts.window
    return (start if track.start is None else track.start, end - start if track.duration is None else track.duration)


def same_part(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two (start, duration) are the same on the sliders, which know hundredths of a second."""
    return all(abs(first - second) < 0.006 for first, second in zip(one, other, strict=True))


def _again(track: Track, facts: object) -> Look | None:
    """The sound of a track, if it is the one that is there or a starter."""
    if track.sha256 is None:
        return None
    if isinstance(facts, Look) and facts.sha256 == track.sha256:
        return facts
    return next((look(show(starter.path)) for starter in starters() if starter.sha256 == track.sha256), None)


def _latest_start(seconds: float) -> float:
    return max(round(seconds - 0.05, 2), 0.05)


def _longest(seconds: float) -> float:
    return max(round(seconds, 2), 0.1)


def build_sound_panel(service: Service) -> SoundPanel:
    """Lay the controls out inside the current Gradio block, with the first starter in place, and wire them."""
    known = starters()
    first = show(known[0].path) if known else None
    facts = look(first, loudness=False) if first else None
    bounds = settings(Track)
    gr.HTML(f"<h2><span>1</span> {words.SOUND_HEADING}</h2>", elem_classes="heading")
    sound = gr.Audio(
        first,
        label=words.SOUND,
        sources=["upload", "microphone"],
        type="filepath",
        elem_id="sound",
        buttons=[],
        waveform_options=gr.WaveformOptions(
            waveform_color="#a78bfa", waveform_progress_color="#6d28d9", sample_rate=48_000
        ),
    )
    line = gr.HTML(heard_part(facts, *_start_and_length(facts)) if facts else "", elem_id="facts")
    chips = gr.Radio(
        [starter.title for starter in known],
        value=known[0].title if known else None,
        label=words.STARTERS,
        show_label=False,
        container=False,
        elem_id="starters",
        elem_classes="chips",
        visible=bool(known),
    )
    credit = gr.HTML(_credit(known[0].title) if known else "", elem_id="credit")
    heard = gr.HTML(status.heard_note(words.HEARS_LATER if facts else words.HEARS_NOTHING_YET), elem_id="heard")
    with gr.Accordion(words.PART, open=False, elem_id="part"):
        at, long = _start_and_length(facts) if facts else (0.0, 10.0)
        whole = facts.seconds if facts else 10.0
        with gr.Row():
            start = gr.Slider(
                0,
                _latest_start(whole),
                round(at, 2),
                step=0.01,
                label=words.START,
                info=words.START_INFO,
                elem_id="start",
                min_width=210,
            )
            duration = gr.Slider(
                bounds["duration"].minimum or 0.05,
                _longest(whole),
                round(long, 2),
                step=0.01,
                label=words.DURATION,
                info=words.DURATION_INFO,
                elem_id="duration",
                min_width=210,
            )
        gain = gr.Slider(
            bounds["gain"].minimum or -60,
            bounds["gain"].maximum or 40,
            0,
            step=bounds["gain"].step,
            label=words.GAIN,
            info=words.GAIN_INFO,
            elem_id="gain",
            buttons=["reset"],
        )
        clean = gr.Checkbox(False, label=words.CLEAN_VOICE, info=words.CLEAN_VOICE_INFO, elem_id="clean_voice")
        other = gr.File(
            label=words.OTHER_FORMATS,
            file_types=sorted(SOUND_SUFFIXES - PLAYABLE),
            type="filepath",
            height=110,
            elem_id="other",
        )
    panel = SoundPanel(
        service=service,
        sound=sound,
        starters=chips,
        credit=credit,
        other=other,
        line=line,
        heard=heard,
        start=start,
        duration=duration,
        gain=gain,
        facts=gr.State(facts),
        carried=gr.State(None),
    )
    _wire(panel, clean)
    return panel


def _wire(panel: SoundPanel, clean: gr.Checkbox) -> None:
    by_title = {starter.title: starter.path for starter in starters()}
    part = [panel.facts, panel.start, panel.duration]
    panel.starters.input(lambda title: show(by_title[title]), panel.starters, panel.sound, queue=False, **_QUIET)
    panel.sound.change(panel.looked_at, [panel.sound, panel.facts, panel.carried], panel.changing, **_QUIET).then(
        panel.listened, [*part, panel.gain], panel.heard, concurrency_id="ear", **_QUIET
    )
    moved = [panel.start.input, panel.duration.input, panel.start.release, panel.duration.release]
    gr.on(moved, panel.redrawn, part, panel.line, queue=False, trigger_mode="always_last", **_QUIET)
    gr.on(
        [panel.start.release, panel.duration.release, panel.gain.release, panel.gain.input],
        panel.listened,
        [*part, panel.gain],
        panel.heard,
        trigger_mode="always_last",
        concurrency_id="ear",
        **_QUIET,
    )

    def from_other(path: str) -> tuple[str, None]:
        """A dropped file of another format, as a sound that plays; the drop is empty again for the next one."""
        try:
            return playable(path) or path, None
        except HearsightError as error:
            raise gr.Error(sentence(error), duration=None, print_exception=False) from None

    panel.other.upload(from_other, panel.other, [panel.sound, panel.other], **_QUIET)
    clean.input(None, clean, None, js="(on) => { window.hearsight.cleanVoice = on; return []; }")


def _start_and_length(facts: Look) -> tuple[float, float]:
    return facts.window[0], facts.window[1] - facts.window[0]


def _credit(title: str) -> str:
    """Whom to thank for a starter sound, with a link that is followed only when somebody presses it."""
    for one in starters():
        if one.title == title:
            return (
                f'<p class="credit">{escape(one.author)} · {escape(one.licence)} · '
                f'<a href="{escape(one.source)}" target="_blank" rel="noopener noreferrer">{words.SOURCE}</a></p>'
            )
    return ""
