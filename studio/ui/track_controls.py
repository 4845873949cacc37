"""The controls of one track: its sound, which part is heard, how loud, where it stands, what the ear hears in it.

The page's first sound, A, and all further ones are this same class; they differ in their letter and their layout only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape
from math import isfinite, nan
from typing import Any

import gradio as gr

from studio.errors import HearsightError
from studio.fields import Setting, settings
from studio.recipe import Track
from studio.result import Heard
from studio.sound.decode import SOUND_SUFFIXES
from studio.ui import status, words
from studio.ui.album import show
from studio.ui.jobs import sentence
from studio.ui.service import Service
from studio.ui.sounds import PLAYABLE, Look, Unusable, heard_part, look, playable, starters
from studio.ui.tracks import LETTERS, PLACED, Missing, Values, named, part_of

Updates = dict[Any, Any]
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


@dataclass(frozen=True)
class TrackControls:
    """The controls of one track.

    letter: A, B, ...; the name of the track on the page.  part: the folded section.
    clean_voice: the browser's own switch for speech, at the first sound only.
    facts: State of Look | Unusable | Missing | None, what is known about `sound`.
    """

    service: Service
    letter: str
    sound: gr.Audio
    starters: gr.Radio
    credit: gr.HTML
    other: gr.File
    line: gr.HTML
    heard: gr.HTML
    part: gr.Accordion
    start: gr.Slider
    duration: gr.Slider
    gain: gr.Slider
    pan: gr.Slider
    room: gr.Dropdown
    mute: gr.Checkbox
    solo: gr.Checkbox
    clean_voice: gr.Checkbox | None
    facts: gr.State

    @property
    def first(self) -> bool:
        """Whether this is the page's first sound, which has more room and its faders folded away."""
        return self.letter == LETTERS[0]

    @property
    def inputs(self) -> dict[str, Any]:
        """What making a picture reads, by name."""
        names = ("sound", "facts", "start", "duration", *PLACED)
        return {named(name, self.letter): getattr(self, name) for name in names}

    @property
    def changing(self) -> list[Any]:
        """Everything that a new sound may change."""
        about = [self.sound, self.facts, self.line, self.heard, self.starters, self.credit]
        return [*about, self.start, self.duration, self.gain]

    @property
    def restoring(self) -> list[Any]:
        """Everything that a restored one may change."""
        return [*self.changing, self.part, self.pan, self.room, self.mute, self.solo]

    @property
    def listening(self) -> list[Any]:
        """What the ear needs to say what it hears."""
        return [self.facts, self.start, self.duration, *(getattr(self, name) for name in PLACED)]

    def restore(self, track: Track, facts: Iterable[object]) -> Updates:
        """The updates that put a picture's track back; the sound only if it is a starter, is there, or is kept.

        facts: what is known about the sounds that are there.
        """
        bounds = settings(Track)
        placed = {name: getattr(track, name) for name in PLACED}
        moved = any(value != bounds[name].default for name, value in placed.items() if name != "gain")
        updates: Updates = {getattr(self, name): value for name, value in placed.items()}
        if self.first:  # what is folded must not go unnoticed when it changes what is heard
            updates[self.part] = gr.Accordion(open=True) if moved else gr.skip()
        known = self._again(track, facts)
        if known is not None:
            return {
                **updates,
                self.sound: known.path,
                self.facts: known,
                **self._part(known, *part_of(track, known)),
                self.heard: self.says(words.LISTENING),
                **self._starter_of(known.path),
            }
        start, duration = track.start or 0.0, track.duration or 10.0
        text = words.CARRIED.format(name=track.name or words.SOUND_HEADING)
        return {
            **updates,
            **self._sliders(start + duration, start, duration),
            self.sound: None,
            self.facts: Missing(track),
            self.starters: None,
            self.credit: "",
            self.line: status.note(text),
            self.heard: "",
        }

    def _again(self, track: Track, facts: Iterable[object]) -> Look | None:
        """The sound of a track, if it is one that is there, a starter, or kept since its picture was made."""
        if track.sha256 is None:
            return None
        for known in facts:
            if isinstance(known, Look) and known.sha256 == track.sha256:
                return known
        starter = next((one.path for one in starters() if one.sha256 == track.sha256), None)
        kept = self.service.sounds.find(track.sha256) if self.service.sounds is not None else None
        try:
            found = next((look(show(path)) for path in (starter, kept) if path is not None), None)
        except (HearsightError, OSError):
            return None  # a kept file was damaged or deleted meanwhile: the picture has its word
        return found if found is not None and found.sha256 == track.sha256 else None

    def emptied(self) -> Updates:
        """The updates that take the sound away and put every control back."""
        bounds = settings(Track)
        return {
            **{getattr(self, name): bounds[name].default for name in PLACED},
            self.sound: None,
            **self._gone(),
            self.part: gr.skip(),
        }

    def _gone(self) -> Updates:
        return {
            self.facts: None,
            self.starters: None,
            self.credit: "",
            self.line: "",
            self.heard: self.says(words.HEARS_NOTHING_YET),
        }

    def looked_at(self, path: str | None, facts: object) -> Updates:
        """A sound came or went: look at it, set the sliders of its part, forget the last one."""
        if path is None:  # a sound that was missed when a picture was restored is still missed
            return {self.facts: gr.skip()} if facts is None or isinstance(facts, Missing) else self._gone()
        if isinstance(facts, Look | Unusable) and facts.path == path:
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
                self.line: status.mistake(text),
                self.heard: self.says(words.HEARS_NOTHING_YET),
                **self._starter_of(path),
            }
        return {
            self.facts: seen,
            self.gain: 0,
            **self._part(seen, *_start_and_length(seen)),
            self.heard: self.says(words.LISTENING),
            **self._starter_of(path),
        }

    def _part(self, facts: Look, start: float, duration: float) -> Updates:
        """The sliders and the line for one part of a sound."""
        return {**self._sliders(facts.seconds, start, duration), self.line: heard_part(facts, start, duration)}

    def _sliders(self, seconds: float, start: float, duration: float) -> Updates:
        return {
            self.start: gr.Slider(maximum=_latest_start(seconds), value=round(start, 2)),
            self.duration: gr.Slider(maximum=_longest(seconds), value=round(duration, 2)),
        }

    def _starter_of(self, path: str) -> Updates:
        """Which chip is on, and whom to thank for that sound."""
        for starter in starters():
            if show(starter.path) == path:
                return {self.starters: starter.name, self.credit: _credit(starter.name)}
        return {self.starters: None, self.credit: ""}

    def completed(self, facts: object) -> Look | None:
        """The page is open: now there is time to measure the loudness of the sound it began with."""
        return look(facts.path) if isinstance(facts, Look) and facts.lufs is None else None

    def measured(self, facts: object, seen: Look | None) -> Updates:
        """It is measured, which may take seconds: meanwhile somebody may have put another sound in its place."""
        if seen is None or not isinstance(facts, Look) or facts.path != seen.path:
            return {self.facts: gr.skip()}
        return {self.facts: seen, self.line: heard_part(seen, *_start_and_length(seen))}

    def trimmed(self, facts: object, event: gr.EventData) -> Updates:
        """A grip on the waveform was let go."""
        try:  # a browser may send anything
            start, duration = float(event.start), float(event.duration)
        except (AttributeError, TypeError, ValueError):
            start = duration = nan
        if not isinstance(facts, Look) or not isfinite(start + duration):
            return {self.line: gr.skip()}
        start = min(max(start, 0.0), _latest_start(facts.seconds))
        duration = min(max(duration, settings(Track)["duration"].minimum or 0.05), facts.seconds - start)
        return self._part(facts, round(start, 2), round(duration, 2))

    def redrawn(self, facts: object, start: float, duration: float) -> Any:
        """The frame around the heard part, after a slider moved."""
        return heard_part(facts, start, duration) if isinstance(facts, Look) else gr.skip()

    def listened(
        self, request: gr.Request, facts: object, start: float, duration: float, *placed: Any
    ) -> Iterator[Any]:
        """What the ear hears in the chosen part, as soon as there is an ear. placed: the values of `PLACED`."""
        newest = self.asked(request)  # also when there is nothing to hear: what was asked before is out of date
        if isinstance(facts, Look):
            yield from self.heard_in(newest, facts, start, duration, *placed)
        else:
            yield "" if isinstance(facts, Missing) else self.says(words.HEARS_NOTHING_YET)

    def asked(self, request: gr.Request) -> Callable[[], bool]:
        """A page asks what is heard here; whether it has not asked again since."""
        return self.service.newest(str(request.session_hash), f"heard {self.letter}")

    def heard_in(
        self, newest: Callable[[], bool], facts: Look, start: float, duration: float, *placed: Any
    ) -> Iterator[Any]:
        """As `listened`; nothing is said any more when it is not the newest question about this track."""
        here = dict(zip(PLACED, placed, strict=True))
        values = Values(self.letter, facts.path, facts, start, duration, **here, weight=0)
        try:
            track = values.track()
            while (heard := self.service.hear(track)) is None:
                yield self.says(words.HEARS_LATER) if newest() else gr.skip()
            yield self.hears(heard) if newest() else gr.skip()
            if self.first:
                more = self.service.character(track)
                # Also when there is nothing to add: Gradio sends what was said last once more when this is over, which
                # may be seconds later, when another sound is here.
                yield status.heard(heard.labels, heard.lufs, more) if newest() else gr.skip()
        except Exception as error:  # a model that cannot be loaded, a silent part: the page says so and goes on
            yield self.says(sentence(error)) if newest() else gr.skip()

    def hears(self, heard: Heard) -> str:
        """What the ear heard: a list with bars for the first sound, one line for the others."""
        return status.heard(heard.labels, heard.lufs) if self.first else status.heard_shortly(heard)

    def says(self, text: str) -> str:
        """The place of `hears` while there is nothing to list."""
        return status.heard_note(text) if self.first else status.heard_note_shortly(text)


def _latest_start(seconds: float) -> float:
    return max(round(seconds - 0.05, 2), 0.05)


def _longest(seconds: float) -> float:
    return max(round(seconds, 2), 0.1)


def build_track(service: Service, letter: str, begin: str | None = None) -> TrackControls:
    """Lay the controls out inside the current Gradio block and wire them. begin: the name of a starter in place."""
    first, known = letter == LETTERS[0], starters()
    path = next((show(one.path) for one in known if one.name == begin), None)
    facts = look(path, loudness=False) if path else None
    sound = gr.Audio(
        path,
        label=words.SOUND if first else words.SOUND_OF.format(letter=letter),
        sources=["upload", "microphone"],
        type="filepath",
        elem_id=named("sound", letter),
        elem_classes="sound-input",
        buttons=[],
        editable=False,  # its scissors would make another sound; the grips on the waveform set the part that is heard
        waveform_options=gr.WaveformOptions(
            waveform_color="#a78bfa", waveform_progress_color="#6d28d9", sample_rate=48_000
        ),
    )
    line = gr.HTML(
        heard_part(facts, *_start_and_length(facts)) if facts else "",
        elem_id=named("facts", letter),
        js_on_load="element.addEventListener('trim', (event) => trigger('release', event.detail));",
    )
    chips = gr.Radio(
        [(starter.title, starter.name) for starter in known],
        value=begin,
        label=words.STARTERS if first else words.STARTERS_OF.format(letter=letter),
        show_label=False,
        container=False,
        elem_id=named("starters", letter),
        elem_classes=["chips", "starters"],
        visible=bool(known),
    )
    credit = gr.HTML(_credit(begin or ""), elem_id=named("credit", letter))
    nothing = words.HEARS_LATER if facts else words.HEARS_NOTHING_YET
    heard = gr.HTML(
        status.heard_note(nothing) if first else status.heard_note_shortly(nothing), elem_id=named("heard", letter)
    )
    placed = None if first else _build_faders(letter)
    with gr.Accordion(words.PART if first else words.PART_ONLY, open=False, elem_id=named("part", letter)) as part:
        start, duration = _build_part(letter, facts)
        placed = placed or _build_faders(letter)
        clean = _build_voice() if first else None
        other = gr.File(
            label=words.OTHER_FORMATS,
            file_types=sorted(SOUND_SUFFIXES - PLAYABLE),
            type="filepath",
            height=110,
            elem_id=named("other", letter),
            elem_classes="other-formats",
        )
    track = TrackControls(
        service=service,
        letter=letter,
        sound=sound,
        starters=chips,
        credit=credit,
        other=other,
        line=line,
        heard=heard,
        part=part,
        start=start,
        duration=duration,
        **placed,
        clean_voice=clean,
        facts=gr.State(facts),
    )
    _wire(track)
    return track


def _build_part(letter: str, facts: Look | None) -> tuple[gr.Slider, gr.Slider]:
    """The sliders of the part that is heard: where it starts, how long it is."""
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
            elem_id=named("start", letter),
            min_width=210,
        )
        duration = gr.Slider(
            settings(Track)["duration"].minimum or 0.05,
            _longest(whole),
            round(long, 2),
            step=0.01,
            label=words.DURATION,
            info=words.DURATION_INFO,
            elem_id=named("duration", letter),
            min_width=210,
        )
    return start, duration


def _build_faders(letter: str) -> dict[str, Any]:
    """How loud, where, in which room, whether at all; by the names of `PLACED`."""
    bounds, first = settings(Track), letter == LETTERS[0]

    def slider(setting: Setting, label: str, info: str) -> gr.Slider:
        return gr.Slider(
            setting.minimum or 0,
            setting.maximum or 1,
            setting.default,
            step=setting.step,
            label=label,
            info=info if first else None,  # said once is enough
            elem_id=named(setting.name, letter),
            buttons=["reset"],
            min_width=200,
        )

    with gr.Row(elem_classes="faders"):
        gain = slider(bounds["gain"], words.GAIN, words.GAIN_INFO)
        pan = slider(bounds["pan"], words.PAN, words.PAN_INFO)
    with gr.Row(elem_classes="switches"):
        room = gr.Dropdown(
            [(words.ROOMS.get(name, name), name) for name in bounds["room"].choices],
            value=bounds["room"].default,
            label=words.ROOM,
            elem_id=named("room", letter),
            filterable=False,
            min_width=160,
            scale=2,
        )
        mute = gr.Checkbox(False, label=words.MUTE, elem_id=named("mute", letter), min_width=70)
        solo = gr.Checkbox(False, label=words.SOLO, elem_id=named("solo", letter), min_width=70)
    return {"gain": gain, "pan": pan, "room": room, "mute": mute, "solo": solo}


def _build_voice() -> gr.Checkbox:
    """The switch for recording speech; one for all tracks, because it is the browser's."""
    clean = gr.Checkbox(False, label=words.CLEAN_VOICE, info=words.CLEAN_VOICE_INFO, elem_id="clean_voice")
    clean.input(None, clean, None, js="(on) => { window.hearsight.cleanVoice = on; return []; }")
    return clean


def _wire(track: TrackControls) -> None:
    by_name = {starter.name: starter.path for starter in starters()}
    part = [track.facts, track.start, track.duration]
    # always_last: a sound that comes while the ear still answers about the one before is listened to when it is done;
    # by default Gradio forgets the second question.
    listening: dict[str, Any] = {"concurrency_id": "ear", "trigger_mode": "always_last", **QUIET}
    listening |= {"outputs": track.heard}
    track.starters.input(lambda name: show(by_name[name]), track.starters, track.sound, queue=False, **QUIET)
    looking = track.sound.change(track.looked_at, [track.sound, track.facts], track.changing, **QUIET)
    looking.then(track.listened, track.listening, **listening)
    moved = [track.start.input, track.duration.input, track.start.release, track.duration.release]
    gr.on(moved, track.redrawn, part, track.line, queue=False, trigger_mode="always_last", **QUIET)
    trimming = track.line.release(
        track.trimmed, track.facts, [track.start, track.duration, track.line], trigger_mode="always_last", **QUIET
    )
    trimming.then(track.listened, track.listening, **listening)
    louder = [track.gain.release, track.gain.input, track.pan.release, track.pan.input, track.room.input]
    gr.on(
        [track.start.release, track.duration.release, *louder],
        track.listened,
        track.listening,
        **listening,
    )

    def from_other(path: str) -> tuple[str, None]:
        """A dropped file of another format, as a sound that plays; the drop is empty again for the next one."""
        try:
            return playable(path) or path, None
        except HearsightError as error:
            raise gr.Error(sentence(error), duration=None, print_exception=False) from None

    track.other.upload(from_other, track.other, [track.sound, track.other], **QUIET)


def _start_and_length(facts: Look) -> tuple[float, float]:
    return facts.window[0], facts.window[1] - facts.window[0]


def _credit(name: str) -> str:
    """Whom to thank for a starter sound, with a link that is followed only when somebody presses it."""
    for one in starters():
        if one.name == name:
            return (
                f'<p class="credit">{escape(one.author)} · {escape(one.licence)} · '
                f'<a href="{escape(one.source)}" target="_blank" rel="noopener noreferrer">{words.SOURCE}</a></p>'
            )
    return ""
