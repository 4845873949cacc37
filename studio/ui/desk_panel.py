"""The folded half of the sound: further tracks, and how all become one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from studio.errors import HearsightError
from studio.fields import settings
from studio.recipe import Recipe, Track
from studio.result import HeardScene
from studio.ui import status, words
from studio.ui.jobs import sentence
from studio.ui.listen_panel import SCENE, ListenPanel, build_listen
from studio.ui.service import Service
from studio.ui.sounds import Look
from studio.ui.track_controls import QUIET, TrackControls, build_track
from studio.ui.tracks import LETTERS, arrangement, most_sounds, named, shares, used

Updates = dict[Any, Any]
MIDDLE = 50  # percent


@dataclass(frozen=True)
class DeskPanel:
    """The controls of the desk.

    tracks: all of them, the page's first sound too.  columns: around each further one, by its letter.
    opened: State of the letters whose columns are shown.  weights: one slider a track.
    ears: below the fold, what there is to listen to.
    """

    service: Service
    tracks: tuple[TrackControls, ...]
    fold: gr.Accordion
    columns: dict[str, gr.Column]
    opened: gr.State
    add: gr.Button
    join: gr.Radio
    about: gr.HTML
    balance: gr.Slider
    weights: tuple[gr.Slider, ...]
    match: gr.Button
    ears: ListenPanel

    @property
    def inputs(self) -> dict[str, Any]:
        """What making a picture reads beside the tracks, by name."""
        weights = {named("weight", one.letter): slider for one, slider in zip(self.tracks, self.weights, strict=True)}
        return {"join": self.join, "opened": self.opened, "balance": self.balance, **weights}

    @property
    def joining(self) -> list[Any]:
        """Everything that the choice of how to join may change."""
        return [self.about, self.balance, *self.weights]

    @property
    def restoring(self) -> list[Any]:
        """Everything that a restored picture may change, beside the tracks."""
        shown = [self.fold, self.opened, self.add, *self.columns.values()]
        return [*shown, self.join, *self.joining, *self.ears.restoring]

    def restore(self, recipe: Recipe) -> Updates:
        """The updates that put a picture's desk back."""
        count = len(recipe.tracks)
        letters = LETTERS[1 : max(count, 2)]  # an empty second one waits beside a single sound
        parts = shares(recipe.weights if recipe.join == "morph" else None, count) if count else ()
        return {
            # A shared studio that gives one sound has no desk, but a picture made elsewhere may have more.
            self.fold: gr.Accordion(open=True, visible=True) if count > 1 else gr.skip(),
            **self.show(letters),
            self.join: recipe.join,
            # Not rounded to the sliders' steps: as long as nobody moves them they stand for the same morph.
            **self.choices(recipe.join, LETTERS[: max(count, 1)], parts),
            **self.ears.hidden(),
        }

    def show(self, letters: str) -> Updates:
        """The columns of these tracks, and no others."""
        return {
            self.opened: letters,
            self.add: gr.Button(visible=1 + len(letters) < most_sounds()),
            **{column: gr.Column(visible=letter in letters) for letter, column in self.columns.items()},
        }

    def added(self, opened: str) -> Updates:
        """One more track, an empty one: the first letter that is free."""
        free = next(track for track in self.tracks[1:] if track.letter not in opened)
        return {**free.emptied(), **self.show("".join(sorted(opened + free.letter)))}

    def removed(self, opened: str, letter: str) -> Updates:
        """The track with this letter was removed."""
        gone = next(track for track in self.tracks if track.letter == letter)
        return {**gone.emptied(), **self.show(opened.replace(letter, "")), **self.ears.hidden()}

    def choices(self, join: str, letters: str, parts: Sequence[float] | None = None) -> Updates:
        """The sliders of a morph between the tracks with these letters, and a line that says what joining does.

        parts: what they are set to, in percent, the middle for those that have none; None = they stay where they are.
        """
        morph = join == "morph"
        text = words.JOIN_ABOUT[join] if len(letters) > 1 or not morph else words.MORPH_NEEDS
        values: list[dict[str, Any]] = [{} for _ in self.tracks]
        balance: dict[str, Any] = {}
        if parts is not None:
            values = [{"value": part} for part in (*parts, *[MIDDLE] * (len(self.tracks) - len(parts)))]
            balance = {"value": parts[1] if len(parts) == 2 else MIDDLE}
        two = morph and len(letters) == 2
        between = words.BALANCE.format(first=letters[0], second=letters[1]) if two else words.MORPH
        return {
            self.about: f'<p class="hint" role="status">{text}</p>',
            self.balance: gr.Slider(visible=two, label=between, **balance),
            **{
                slider: gr.Slider(visible=morph and len(letters) > 2 and one.letter in letters, **value)
                for one, slider, value in zip(self.tracks, self.weights, values, strict=True)
            },
        }

    def rejoined(self, join: str, opened: str, *facts: object) -> Updates:
        """The way to join was chosen, or a sound came or went. facts: one for each track."""
        filled = [one.letter for one, known in zip(self.tracks, facts, strict=True) if known is not None]
        letters = [letter for letter in filled if letter in LETTERS[0] + opened]
        return self.choices(join, "".join(letters))

    def matched(self, **values: Any) -> Updates:
        """Match loudness was pressed: gains that make all sounds equally loud, to the step of the sliders."""
        from studio.scene import match_loudness  # scipy, not before the page is up

        here = [one for one in used(values) if one.missing is None]
        step = settings(Track)["gain"].step or 0.5
        try:
            if len(here) < 2:
                raise HearsightError(words.MATCH_NEEDS)
            tracks = match_loudness([one.track().replace(gain=0.0) for one in here])
        except HearsightError as error:
            return {self.ears.line: status.mistake(sentence(error))}
        sliders = {track.letter: track.gain for track in self.tracks}
        gains = {one.letter: round(track.gain / step) * step for one, track in zip(here, tracks, strict=True)}
        said = " · ".join(f"{letter} {gain:+.1f} dB" for letter, gain in gains.items()).replace("-", "\N{MINUS SIGN}")
        return {
            **{sliders[letter]: gain for letter, gain in gains.items()},
            self.ears.line: status.note(words.MATCHED.format(gains=said)),
        }

    def listened(self, **values: Any) -> Iterator[Updates]:
        """Listen was pressed: the joined sound at once, then what the ear hears in it and in each of its tracks."""
        yield {self.ears.line: status.busy(words.JOINING)}
        letters = tuple(one.letter for one in used(values))
        try:
            recipe = Recipe(**arrangement(values))
            shown = self.ears.joined(recipe, letters)
            yield shown
            for updates, heard in self.ears.hears(SCENE, shown[self.ears.arranged]):
                yield updates if heard is None else {**updates, **self._lines(heard, letters)}
        except Exception as error:  # a muted desk, a silent sound, a model that is not there: the page says so
            yield {**self.ears.hidden(), self.ears.line: status.mistake(sentence(error))}

    def _lines(self, heard: HeardScene, letters: Sequence[str]) -> Updates:
        """What is heard in each track, at its own place."""
        alone = dict(zip(letters, heard.tracks, strict=True))
        found = ((track, alone.get(track.letter)) for track in self.tracks)
        return {track.heard: track.hears(one) for track, one in found if one is not None}

    def listened_alone(self, request: gr.Request, **values: Any) -> Iterator[Updates]:
        """What the ear hears in each of the tracks, one after the other, as soon as there is an ear."""
        asked = []
        for track in self.tracks:  # all are asked now, and answered one after the other
            facts, *part = (values[name] for name in track.inputs if not name.startswith("sound"))
            if isinstance(facts, Look):
                asked.append((track, track.asked(request), facts, part))
        if not asked:  # a generator that says nothing at all empties what it could have changed
            yield {track.heard: gr.skip() for track in self.tracks}
        for track, newest, facts, part in asked:
            for heard in track.heard_in(newest, facts, *part):
                yield {track.heard: heard}

    def outdated(self, **values: Any) -> Updates:
        """Something was changed: a scene in view that is no longer what the ear would hear must go."""
        arranged = values.pop("arranged")
        if arranged is None:
            return {self.ears.line: gr.skip()}
        try:
            if Recipe(**arrangement(values)) == arranged.recipe:
                return {self.ears.line: gr.skip()}
        except HearsightError:
            pass
        return {**self.ears.hidden(), self.ears.line: status.note(words.SCENE_OLD)}


def build_desk(service: Service, first: TrackControls) -> DeskPanel:
    """Lay the controls out inside the current Gradio block and wire them. first: the page's first sound."""
    tracks, columns, removes = [first], {}, {}
    with gr.Accordion(words.DESK, open=False, visible=most_sounds() > 1, elem_id="desk") as fold:
        for letter in LETTERS[1:]:
            with gr.Column(visible=letter == LETTERS[1], elem_classes="track", elem_id=named("track", letter)) as one:
                with gr.Row(elem_classes="track-head"):
                    gr.HTML(f"<h3>{words.SOUND_LETTER.format(letter=letter)}</h3>")
                    removes[letter] = gr.Button(
                        words.REMOVE.format(letter=letter),
                        size="sm",
                        elem_id=named("remove", letter),
                        min_width=80,
                        scale=0,
                    )
                tracks.append(build_track(service, letter))
            columns[letter] = one
        add = gr.Button(words.ADD_SOUND, size="sm", visible=most_sounds() > 2, elem_id="add_sound")
        join, about, balance, weights = _build_join()
        match = gr.Button(words.MATCH, size="md", elem_id="match")
    ears = build_listen(service)
    desk = DeskPanel(
        service=service,
        tracks=tuple(tracks),
        fold=fold,
        columns=columns,
        opened=gr.State(LETTERS[1]),
        add=add,
        join=join,
        about=about,
        balance=balance,
        weights=weights,
        match=match,
        ears=ears,
    )
    _wire(desk, removes)
    return desk


def _build_join() -> tuple[gr.Radio, gr.HTML, gr.Slider, tuple[gr.Slider, ...]]:
    """How the sounds become one, and how much each counts in a morph."""
    way, weight = settings(Recipe)["join"], settings(Recipe)["weights"]
    join = gr.Radio(
        [(words.JOINS[name], name) for name in way.choices],
        value=way.default,
        label=words.JOIN,
        elem_id="join",
        elem_classes="chips",
    )
    about = gr.HTML(f'<p class="hint" role="status">{words.JOIN_ABOUT[way.default]}</p>', elem_id="join_about")

    def percent(label: str, name: str) -> gr.Slider:
        return gr.Slider(
            weight.minimum or 0,
            weight.maximum or 100,
            MIDDLE,
            step=1,  # of a hundred; the field's own step is one of ratios
            label=label,
            elem_id=name,
            min_width=180,
            visible=False,
        )

    balance = percent(words.MORPH, "balance")
    with gr.Row(elem_id="weights"):
        weights = tuple(percent(words.WEIGHT.format(letter=one), named("weight", one)) for one in LETTERS)
    return join, about, balance, weights


def _wire(desk: DeskPanel, removes: dict[str, gr.Button]) -> None:
    tracks = desk.tracks
    shown = [desk.opened, desk.add, *desk.columns.values()]
    adding = [*shown, *(control for track in tracks[1:] for control in track.restoring)]
    desk.add.click(desk.added, desk.opened, adding, queue=False, **QUIET)
    facts = [track.facts for track in tracks]
    rejoining: dict[str, Any] = {"inputs": [desk.join, desk.opened, *facts], "outputs": desk.joining}
    rejoining |= {"queue": False, "trigger_mode": "always_last", **QUIET}
    gr.on([desk.join.input, *(known.change for known in facts)], desk.rejoined, **rejoining)
    for track in tracks[1:]:
        removing = partial(desk.removed, letter=track.letter)
        removed = removes[track.letter].click(
            removing,
            desk.opened,
            [*track.restoring, *shown, *desk.ears.restoring],
            queue=False,
            **QUIET,
        )
        removed.then(desk.rejoined, **rejoining)  # Gradio sends no change for a State when its column goes too

    inputs = all_inputs(tracks, desk)
    matching = desk.match.click(
        desk.matched, inputs_kwargs=inputs, outputs=[*(track.gain for track in tracks), desk.ears.line], **QUIET
    )
    matching.then(
        desk.listened_alone,
        inputs_kwargs=inputs,
        outputs=[track.heard for track in tracks],
        concurrency_id="ear",
        trigger_mode="always_last",
        **QUIET,
    )
    desk.ears.listen.click(
        desk.listened,
        inputs_kwargs=inputs,
        outputs=[*desk.ears.changing, *(track.heard for track in tracks)],
        concurrency_id="ear",
        **QUIET,
    )
    # change and not input: a restored picture and Match loudness change the scene too
    changed = [control.change for name, control in inputs.items() if not name.startswith("sound")]
    gr.on(
        changed,
        desk.outdated,
        inputs_kwargs={**inputs, "arranged": desk.ears.arranged},
        outputs=desk.ears.restoring,
        queue=False,
        trigger_mode="always_last",
        **QUIET,
    )


def all_inputs(tracks: Iterable[TrackControls], desk: DeskPanel) -> dict[str, Any]:
    """What making a picture reads of all sounds, by name."""
    parts = [*(track.inputs for track in tracks), desk.inputs]
    return {name: control for inputs in parts for name, control in inputs.items()}
