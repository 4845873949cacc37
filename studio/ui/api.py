"""The endpoints for programs, for gradio_client, plain HTTP, and as tools (MCP).

    from gradio_client import Client, handle_file
    picture, recipe = Client("http://127.0.0.1:7860").predict(handle_file("rain.wav"), api_name="/sound_to_image")

Their inputs are no controls of the page, which may change without breaking programs; their names, types and defaults
are those of the functions here. New inputs come at the end.
"""

from __future__ import annotations

import functools
import inspect
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

import gradio as gr
from gradio.components.api_component import Api
from pydantic import TypeAdapter

from studio.errors import HearsightError, InputError
from studio.journey.settings import Journey, Kind, Playback
from studio.recipe import Edit, Join, Recipe, Track
from studio.ui import jobs, travels
from studio.ui.album import Album, new_visitor, show
from studio.ui.service import Service

DEFAULT_PROMPT = Recipe().prompt
Method = Literal["pnp", "p2p", "sdedit"]
Made = tuple[str, dict[str, Any]]  # a file, and the recipe that makes it again
_FILES = frozenset({"sound", "sounds", "photo", "mask"})


@dataclass(frozen=True)
class Endpoints:
    """What programs may ask for. Everything that people may, with the same limits and the same sentences."""

    service: Service

    def sound_to_image(
        self,
        request: gr.Request,
        sound: str,
        prompt: str = DEFAULT_PROMPT,
        negative_prompt: str | None = None,
        seed: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        width: int | None = None,
        height: int | None = None,
        start: float | None = None,
        duration: float | None = None,
        gain: float | None = None,
        sound_strength: float | None = None,
        adapter: str | None = None,
    ) -> Made:
        """Make one picture from a sound. Empty inputs take the model's own values.

        Args:
            sound: the sound file.
            prompt: what to make; A* stands for the sound.
            negative_prompt: what to stay away from.
            seed: 0 to 2147483647; the same seed gives the same picture.
            steps: denoising steps, 1 to 100.
            guidance: how strictly the picture follows sound and words, 0 to 30.
            width: in px, a multiple of 8.
            height: in px, a multiple of 8.
            start: where the heard part begins, in s.
            duration: how long it is, in s.
            gain: louder or softer, in dB.
            sound_strength: how strongly the sound acts beside the words, 0 to 3.
            adapter: "word" (the default), "concepts" or "gated".

        Returns:
            the picture, a PNG that carries its recipe; and the recipe.
        """
        tracks = tracks_of([sound] if sound else [], gains=gain, starts=start, durations=duration)
        fine = _fine(seed, steps, guidance, width, height, sound_strength)
        return self._draw(request, tracks, adapter, prompt=prompt, negative_prompt=negative_prompt, **fine)

    def sounds_to_image(
        self,
        request: gr.Request,
        sounds: list[str],
        prompt: str = DEFAULT_PROMPT,
        join: Join = "mix",
        gains: list[float] | None = None,
        pans: list[float] | None = None,
        rooms: list[str] | None = None,
        weights: list[float] | None = None,
        match_loudness: bool = False,
        negative_prompt: str | None = None,
        seed: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        width: int | None = None,
        height: int | None = None,
        sound_strength: float | None = None,
        starts: list[float] | None = None,
        durations: list[float] | None = None,
        adapter: str | None = None,
    ) -> Made:
        """Make one picture from several sounds. Lists hold one value for each sound, in their order.

        Args:
            sounds: the sound files, 1 to 8.
            prompt: what to make; A* stands for the sounds.
            join: "mix" adds them, "sequence" plays one after the other, "morph" goes between their meanings,
                "side-by-side" gives each its part of the picture.
            gains: louder or softer, in dB.
            pans: where each stands, in the sound and in the picture: -1 left, 0 middle, 1 right.
            rooms: dry, living-room, stairwell, concert-hall, church or cathedral.
            weights: of a morph, how much each counts.
            match_loudness: make them equally loud before the gains.
            negative_prompt: what to stay away from.
            seed: 0 to 2147483647; the same seed gives the same picture.
            steps: denoising steps, 1 to 100.
            guidance: how strictly the picture follows sound and words, 0 to 30.
            width: in px, a multiple of 8.
            height: in px, a multiple of 8.
            sound_strength: how strongly the sounds act beside the words, 0 to 3.
            starts: where the heard parts begin, in s.
            durations: how long they are, in s.
            adapter: "word" (the default), "concepts" or "gated".

        Returns:
            the picture, a PNG that carries its recipe; and the recipe.
        """
        tracks = tracks_of(sounds, gains=gains, pans=pans, rooms=rooms, starts=starts, durations=durations)
        if match_loudness:
            from studio.scene import match_loudness as matched  # scipy, not before the page is up

            tracks = matched(tracks)
        fine = _fine(seed, steps, guidance, width, height, sound_strength)
        fine |= {"join": join, "weights": None if weights is None else tuple(weights)}
        return self._draw(request, tracks, adapter, prompt=prompt, negative_prompt=negative_prompt, **fine)

    def hear(
        self,
        sounds: list[str],
        join: Join = "mix",
        gains: list[float] | None = None,
        pans: list[float] | None = None,
        rooms: list[str] | None = None,
        weights: list[float] | None = None,
        starts: list[float] | None = None,
        durations: list[float] | None = None,
    ) -> dict[str, Any]:
        """Say in words what the ear hears in sounds, joined and each alone. No picture is made.

        Args:
            sounds: the sound files, 1 to 8.
            join: how they become one: mix, sequence, morph or side-by-side.
            gains: louder or softer, in dB, one for each.
            pans: -1 left, 0 middle, 1 right, one for each.
            rooms: dry, living-room, stairwell, concert-hall, church or cathedral, one for each.
            weights: of a morph, one for each.
            starts: where the heard parts begin, in s, one for each.
            durations: how long they are, in s, one for each.

        Returns:
            {"scene": heard, "sounds": [heard, ...]}, where heard is {"words": [{"word", "probability"}, ...], best
            first, "lufs", "seconds"}, or null for a sound that is silent.
        """
        tracks = tracks_of(sounds, gains=gains, pans=pans, rooms=rooms, starts=starts, durations=durations)
        recipe = Recipe(tracks=tracks, join=join, weights=None if weights is None else tuple(weights))
        recipe = self.service.allowed(recipe)
        while (heard := self.service.hear_scene(recipe)) is None:
            pass  # each look waits a second for the model
        return {"scene": _said(heard.scene), "sounds": [_said(one) for one in heard.tracks]}

    def edit_photo(
        self,
        request: gr.Request,
        photo: str,
        sound: str,
        prompt: str = DEFAULT_PROMPT,
        method: Method = "pnp",
        source_prompt: str = "",
        keep_layout: float | None = None,
        keep_detail: float | None = None,
        noise: float | None = None,
        mask: str | None = None,
        gain: float | None = None,
        sound_strength: float | None = None,
        seed: int | None = None,
        steps: int | None = None,
        guidance: float | None = None,
    ) -> Made:
        """Change a photo as a sound says.

        Args:
            photo: the photo.
            sound: the sound file; the louder, the more changes.
            prompt: what it should become; A* stands for the sound.
            method: "pnp" holds the layout, "p2p" exchanges words, "sdedit" paints over.
            source_prompt: what the photo shows, in words; p2p needs it.
            keep_layout: 0 to 1, for which share of the steps shapes stay.
            keep_detail: 0 to 1, for which share of the steps details are held.
            noise: of sdedit, 0 to 1, how much is painted over.
            mask: a picture, white where the photo may change.
            gain: louder or softer, in dB.
            sound_strength: how strongly the sound acts, 0 to 3.
            seed: 0 to 2147483647.
            steps: denoising steps, 1 to 100.
            guidance: how strictly the picture follows sound and words, 0 to 30.

        Returns:
            the picture, a PNG that carries its recipe; and the recipe.
        """
        if not photo:
            raise InputError("No photo was given: `photo` must be a picture file.")
        tracks = tracks_of([sound] if sound else [], gains=gain)
        kept = _given(keep_layout=keep_layout, keep_detail=keep_detail, noise=noise)
        edit = Edit.of(photo, mask or None, method=method, source_prompt=source_prompt, **kept)
        fine = _fine(seed, steps, guidance, None, None, sound_strength)
        return self._draw(request, tracks, None, prompt=prompt, edit=edit, **fine)

    def journey(
        self,
        request: gr.Request,
        sounds: list[str],
        kind: Kind = "morph",
        frames: int = 12,
        fps: float = 8.0,
        playback: Playback = "loop",
        prompt: str = DEFAULT_PROMPT,
        from_db: float = -30.0,
        to_db: float = 0.0,
        duration: float = 4.0,
        seed: int | None = None,
        steps: int | None = None,
        width: int | None = None,
        height: int | None = None,
    ) -> Made:
        """Make a film along a way through sounds.

        Args:
            sounds: the sound files: two or more for a morph, one for a window.
            kind: "morph" from sound to sound, "volume" a sweep, "window" slides along one recording.
            frames: how many pictures, 2 to 240.
            fps: pictures a second, 0.5 to 30.
            playback: "once", "loop" or "ping-pong".
            prompt: what to make; A* stands for the sound.
            from_db: where a volume sweep begins.
            to_db: where it ends.
            duration: of the sliding window, in s.
            seed: 0 to 2147483647; all pictures share it.
            steps: denoising steps, 1 to 100.
            width: in px, a multiple of 8.
            height: in px, a multiple of 8.

        Returns:
            the film, an MP4 with the sound under it; and the recipe that it began with.
        """
        way = Journey(
            kind=kind, frames=frames, fps=fps, playback=playback, from_db=from_db, to_db=to_db, duration=duration
        )
        recipe = self._recipe(tracks_of(sounds), None, prompt=prompt, **_fine(seed, steps, None, width, height, None))
        below = Album.of(self.service.pictures.parent / "journeys", self._visitor()).folder
        for moment in travels.travel(self.service, _session(request), below, recipe, way):
            if isinstance(moment, travels.Arrived):
                film = show(travels.Files.of(moment.folder).film)
                self._forget(below)
                return film, moment.recipe.public().model_dump(mode="json")
        raise HearsightError("The journey was stopped before it was finished.")

    def _recipe(self, tracks: tuple[Track, ...], adapter: str | None, **values: Any) -> Recipe:
        if adapter is not None:
            from studio.adapters import ADAPTERS  # torch, not before the page is up

            if adapter not in ADAPTERS:  # no folder of this machine: programs name what the app has
                known = ", ".join(ADAPTERS.names())
                raise InputError(f"There is no adapter {adapter!r}: choose one of {known}.")
        service = self.service
        recipe = Recipe(
            tracks=tracks, preview_every=0, model=service.model, adapter=adapter or service.adapter, **values
        )
        return service.allowed(recipe)

    def _draw(self, request: gr.Request, tracks: tuple[Track, ...], adapter: str | None, **values: Any) -> Made:
        recipe = self._recipe(tracks, adapter, **values)
        album = Album.of(self.service.pictures, self._visitor())
        for moment in jobs.make(self.service, _session(request), album, recipe):
            if isinstance(moment, jobs.Saved):
                picture = show(moment.path)
                self._forget(album.folder)
                return picture, moment.recipe.public().model_dump(mode="json")
        raise HearsightError("The picture was stopped before it was finished.")

    def _visitor(self) -> str | None:
        return new_visitor() if self.service.hosted else None

    def _forget(self, folder: Path) -> None:
        """A program has its answer; on a shared app nobody would ever look for it here again."""
        if self.service.hosted:
            shutil.rmtree(folder, ignore_errors=True)


def tracks_of(sounds: list[str] | None, **lists: Any) -> tuple[Track, ...]:
    """The tracks of sound files. lists: by the plural of a track's field, one value for each sound, or None.

    Of a single sound also the value itself. Raises InputError when there is no sound, or not one value for each.
    """
    files = sounds or []
    if not files:
        raise InputError("No sound was given: name at least one audio file.")
    columns: list[dict[str, Any]] = [{} for _ in files]
    for name, values in lists.items():
        if values is None:
            continue
        column = values if isinstance(values, list) else [values]
        if len(column) != len(files):
            raise InputError(f"`{name}` holds {len(column)} values for {len(files)} sounds: give one for each.")
        for fields, value in zip(columns, column, strict=True):
            fields[name.removesuffix("s")] = value
    return tuple(Track.of(file, **fields) for file, fields in zip(files, columns, strict=True))


def build_api(service: Service) -> None:
    """Add the endpoints to the current Gradio blocks."""
    endpoints = Endpoints(service)
    with gr.Column(visible=False):
        for made in (endpoints.sound_to_image, endpoints.sounds_to_image, endpoints.edit_photo):
            _offer(made, [gr.Image(label="picture", type="filepath", buttons=[]), gr.JSON(label="recipe")])
        _offer(endpoints.journey, [gr.File(label="film"), gr.JSON(label="recipe")])
        _offer(endpoints.hear, [gr.JSON(label="heard")])


def _offer(method: Callable[..., Any], outputs: list[Any]) -> None:
    """One endpoint: a method's parameters are its inputs, and its errors are sentences."""
    hints = get_type_hints(method)
    parameters = list(inspect.signature(method).parameters.values())
    inputs = [_input(one, hints[one.name]) for one in parameters if one.name != "request"]
    files = [index for index, one in enumerate(parameters) if one.name in _FILES]

    @functools.wraps(method)  # Gradio reads names, types, defaults and help from it
    def handler(*values: Any) -> Any:
        try:
            return method(*values)
        except Exception as error:  # programs get the same sentences as people
            given = [values[index] or [] for index in files]
            paths = [path for one in given for path in ([one] if isinstance(one, str) else one)]
            raise gr.Error(jobs.without_folders(jobs.sentence(error), *paths), print_exception=False) from None

    handler.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
    name = method.__name__
    gr.Button().click(handler, inputs, outputs, api_name=name, concurrency_limit=None, show_progress="hidden")


def _input(parameter: inspect.Parameter, hint: Any) -> Any:
    """A hidden input. Files are Gradio's own kind, which lets in only what the visitor has uploaded."""
    name = parameter.name
    if name in _FILES:
        count: Any = "multiple" if name == "sounds" else "single"
        return gr.File(label=name, file_count=count, type="filepath")
    default = None if parameter.default is inspect.Parameter.empty else parameter.default
    return Api(default, TypeAdapter(hint).json_schema(), label=name)


def _fine(
    seed: int | None,
    steps: int | None,
    guidance: float | None,
    width: int | None,
    height: int | None,
    sound_strength: float | None,
) -> dict[str, Any]:
    """The fine controls by the recipe's names, without those that were not given."""
    return _given(
        seed=seed,
        num_inference_steps=steps,
        guidance_scale=guidance,
        width=width,
        height=height,
        sound_strength=sound_strength,
    )


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _said(heard: Any) -> dict[str, Any] | None:
    if heard is None:
        return None
    said = [{"word": label, "probability": round(probability, 4)} for label, probability in heard.labels]
    return {"words": said, "lufs": round(heard.lufs, 2), "seconds": round(heard.seconds, 3)}


def _session(request: gr.Request) -> str:
    return f"api-{request.session_hash}"
