"""The engine: a Recipe goes in, Steps come out, and at last a Result.

>>> engine = Engine()
>>> for item in engine.stream(Recipe(tracks=(Track.of("rain.ogg"),), prompt="a photo of A*", seed=7)):
...     ...  # Step, Step, ..., Result
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image

from studio.adapters.base import Adapter, Conditioning, Spoken
from studio.backbones.base import Backbone, TextStates
from studio.concepts import Concepts, joined, read_concepts, write_concepts
from studio.device import DeviceChoice, pick_device
from studio.diffusion.beside import Along, Beside, instead_of_text
from studio.diffusion.coarse_to_fine import paint, stages, work
from studio.diffusion.loop import Extension, Moment, denoise
from studio.diffusion.placement import place
from studio.diffusion.preview import preview
from studio.diffusion.prompt import embed, has_word
from studio.diffusion.regions import Regions
from studio.editing.session import Opened, Picture, Session, open_photo
from studio.editing.sources import Sources
from studio.encoders.base import SoundEmbedding
from studio.errors import HearsightError, InputError
from studio.hearing import Hearing
from studio.hub import download_allowed
from studio.models import Models, adapter_kind, check_size, settled_names, without_text
from studio.paths import photo_cache_folder
from studio.recipe import MAX_SEED, Recipe, Track
from studio.result import PAINTING, READING, Heard, HeardScene, Result, Step
from studio.scene import Clips, Scene, prepare_scene, prepare_sound
from studio.sound.clip import Clip
from studio.versions import differences, versions
from studio.word import blend_tokens, blend_words, pack_word, spread_words, unpack_word

Value = TypeVar("Value")


class Engine:
    """Makes pictures from recipes. One engine serves a whole program, from any thread.

    device: "auto", "cpu" or "cuda".  allow_download: whether a model that is not on this machine may be fetched;
    None = what the environment variable HEARSIGHT_ALLOW_DOWNLOAD says, and by default that is no.
    """

    def __init__(self, device: str = "auto", *, allow_download: bool | None = None) -> None:
        self.choice: DeviceChoice = pick_device(device)
        self._models = Models(self.choice, download_allowed() if allow_download is None else allow_download)
        self._hearing = Hearing()
        self._sources = Sources(photo_cache_folder())

    def load(self, model: str = "pocket", adapter: str = "auto") -> None:
        """Load what such a request needs, so that the first one need not wait. Raises InputError as `stream` does."""
        named = without_text(Recipe(model=model, adapter=adapter))
        self._hearing.ear(self._models.adapter(named.model, adapter).encoder)

    def image_model(self, name: str) -> Backbone:
        """The image model of that name, for what works on it beside drawing. Raises InputError when it is not here."""
        return self._models.backbone(name)

    def holds(self, recipe: Recipe) -> bool:
        """Whether the image model of a recipe is loaded already."""
        return self._models.holds(without_text(recipe).model)

    def let_go(self, keep: str) -> None:
        """Another model was chosen: the one in use before is forgotten, unless it is embedded or the one to keep.

        Its memory is free at once, or when the pictures that are being drawn with it are finished.
        """
        self._models.let_go(keep)

    @property
    def held(self) -> int:
        """Bytes of weights that another model would find free, because the one in use now goes."""
        return self._models.held

    def hear(self, sound: Clip | Track | str | Path, encoder: str = "pocket") -> Heard:
        """What the ear hears in a sound. Raises InputError for a sound that cannot be used, silence included."""
        if isinstance(sound, Clip):
            prepared = prepare_sound(Track(), sound)
        else:
            prepared = prepare_sound(sound if isinstance(sound, Track) else Track.of(sound))
        return self._hearing.listen(prepared, encoder)[1]

    def hear_scene(self, recipe: Recipe, clip: Clips = None, encoder: str = "pocket") -> HeardScene:
        """What the ear hears in all sounds of a recipe, and in each alone. Raises InputError as `stream` does."""
        return self._hearing.listen_to_scene(prepare_scene(recipe, clip), encoder)[1]

    def scene(self, recipe: Recipe, clip: Clips = None) -> Clip:
        """The joined sound of a recipe, for people; no model is loaded for it.

        The ear gets each of several tracks alone (`as_heard`). A morph has no joined sound: this is a preview, all
        together, each at its share of the power. clip and errors: as in `stream`.
        """
        return prepare_scene(recipe, clip).clip

    def as_heard(self, recipe: Recipe, clip: Clips = None, encoder: str = "pocket") -> list[Clip | None]:
        """Of each track the very samples that the ear gets: its part, in its room, with its gain and place, limited
        where the desk limits it, as one channel at the ear's rate. None for one that does not sound.

        clip and errors: as in `stream`.
        """
        alone = prepare_scene(recipe, clip).alone
        return [None if sound is None else self._hearing.as_heard(sound, encoder) for sound in alone]

    def resolve(self, recipe: Recipe, clip: Clips = None) -> tuple[Recipe, HeardScene | None]:
        """The recipe as `stream` would draw it, its word included, and what was heard; nothing is drawn.

        The second is None when the recipe carries its word. clip and errors: as in `stream`.
        """
        order = self._prepare(recipe, clip, _Clock(), None, None)
        return order.recipe, order.heard

    def run(
        self, recipe: Recipe, clip: Clips = None, *, photo: Picture | None = None, mask: Picture | None = None
    ) -> Result:
        """The last item of `stream`."""
        for item in self.stream(recipe, clip, photo=photo, mask=mask):
            if isinstance(item, Result):
                return item
        raise HearsightError("The engine ended without a result. Please report this.")

    def stream(
        self, recipe: Recipe, clip: Clips = None, *, photo: Picture | None = None, mask: Picture | None = None
    ) -> Iterator[Step | Result]:
        """Make the recipe's pictures, one after the other: a Step after each denoising step, then one Result.

        An edit reads its photo first, unless it knows it: Steps of the phase READING, with previews too.

        clip: the sound, instead of the file that the recipe's track names, or one (or None) for each of several
        tracks; the track's part, room, gain and place still apply. With neither, the recipe must carry what its
        sounds say.
        photo, mask: of an edit, pictures or files instead of those that `recipe.edit` names.
        Closing the iterator stops the work; while it waits, nothing of the model is held or changed.
        Raises InputError when the recipe, the sound, the photo or the model cannot be used.
        """
        clock = _Clock()
        order = self._prepare(recipe, clip, clock, photo, mask)
        recipe, backbone = order.recipe, order.backbone
        size = (_filled(recipe.width), _filled(recipe.height))
        strength = recipe.sound_strength * _given(recipe.loudness, 1.0)
        instead = None
        if order.beside is not None and order.beside[0].instead:
            instead = instead_of_text(*order.beside)
            states = TextStates.cat(instead)
        else:
            states = embed(backbone, [_filled(recipe.negative_prompt), recipe.prompt], order.word)
        beside = order.beside if instead is None else None
        edit: Session | None = None
        extensions: list[Extension] = []
        if order.opened is not None:  # the photo says where things are, and the volume how far to go from it
            edit = Session(backbone, recipe, order.opened, order.word, strength, self._sources, beside, order.along)
        else:
            if order.placed is not None:
                extensions.append(place(backbone, recipe.prompt, *order.placed, parted=bool(recipe.parted)))
            if order.along is not None:
                extensions.append(Along(order.along))
            if beside is not None:
                # Below 1 the adapter's own gates close, at no cost; above 1 guidance goes on where they end.
                extensions.append(Beside(*beside, min(strength, 1.0)))
                strength = max(strength, 1.0)
        # The same prompt with A* left out, where the sound's part is told from the words'.
        silent = None
        if strength != 1 and edit is None:
            silent = embed(backbone, [recipe.prompt], order.word[:0]) if instead is None else instead[0]
        clock.lap("prompt")

        def shown(latents: torch.Tensor, index: int) -> Image.Image | None:
            wanted = recipe.preview_every and index % recipe.preview_every == 0
            return preview(latents, self._models.colours(backbone), *size) if wanted else None

        plan = stages(backbone, *size, _filled(recipe.num_inference_steps)) if edit is None else edit.plan

        def new(generator: torch.Generator) -> Iterator[Moment]:
            draw = partial(
                denoise,
                backbone,
                negative=states[:1],
                positive=states[1:],
                silent=silent,
                sound_strength=strength,
            )
            return paint(backbone, plan, draw, _filled(recipe.guidance_scale), generator, lambda _: extensions)

        picture = work(plan) + 1  # decoding takes about as long as a step, so it counts as one
        reading = 0 if edit is None else edit.to_read
        # Reading does not guide: half a step.
        clock.expect(reading / 2 + recipe.count * picture)
        if edit is not None:
            for index, latents in enumerate(edit.read(), start=1):
                yield clock.step(index / 2, Step(index, reading, 0, 0, shown(latents, index), 0, READING))
            clock.lap("read")
        seeds = [(_filled(recipe.seed) + index) % (MAX_SEED + 1) for index in range(recipe.count)]
        images = []
        for image_index, seed in enumerate(seeds):
            # Pictures are drawn one by one, each with its own generator: alone or among others, the same bytes.
            generator = torch.Generator().manual_seed(seed)
            begun = None if edit is None else edit.begin(states[:1], states[1:], generator)
            skipped = 0 if begun is None else begun.first_step - 1
            latents = order.word if begun is None else begun.latents
            for moment in new(generator) if begun is None else begun.moments:
                latents, index = moment.latents, moment.index - skipped
                done = reading / 2 + image_index * picture + work(plan, moment.index)
                made = Step(index, moment.total - skipped, 0, 0, shown(moment.denoised, index), image_index, PAINTING)
                yield clock.step(done, made)
            image = _picture(backbone, latents)
            images.append(image if edit is None else edit.finish(image))
        clock.lap("draw")
        heard = order.heard
        yield Result(
            recipe=recipe,
            images=images,
            recipes=[recipe.replace(seed=seed, count=1) for seed in seeds],
            seeds=seeds,
            timings=clock.timings(),
            heard=heard.scene.labels if heard else [],
            window=heard.scene.window if heard else None,
            lufs=heard.scene.lufs if heard else None,
            warnings=order.warnings,
            heard_tracks=heard.tracks if heard else [],
            read=edit.found() if edit else None,
            concepts=joined([(read_concepts(recipe.concepts), 1.0)]) if recipe.concepts else (),
        )

    def _prepare(
        self, recipe: Recipe, clip: Clips, clock: _Clock, photo: Picture | None, mask: Picture | None
    ) -> _Order:
        """Everything before the first step: check, listen, load, and fill what the recipe leaves open."""
        recipe = without_text(recipe)
        names = settled_names(recipe)
        if not has_word(recipe.prompt) and not adapter_kind(names["adapter"]).beside:
            raise InputError(
                "Your prompt has no A*, so the sound would not be used. Add A* where the sound belongs, "
                'for example "a photo of A*".'
            )
        opened = None
        if recipe.edit is not None:
            opened = open_photo(recipe, recipe.edit, photo, mask)
        elif photo is not None or mask is not None:
            raise InputError("A photo was given, but the recipe is not one of an edit: give it an Edit.")
        # What A* is made of was written by hand: it needs no sound, though a sound that is here gives its loudness.
        by_hand = _by_hand(recipe, names["adapter"]) if recipe.word is None else None
        here = clip is not None or any(track.path for track in recipe.tracks)
        scene: Scene | None = None
        # A bad sound is refused before seconds are spent on loading.
        if clip is not None or (not recipe.carries_sound and (here or by_hand is None)):
            scene = prepare_scene(recipe, clip)
            clock.lap("sound")
        backbone = self._models.backbone(recipe.model)
        clock.lap("load")
        adapter, heard, packed, tokens, concepts = self._listen(recipe, names["adapter"], backbone, scene, by_hand)
        clock.lap("hear")
        if tokens is not None and (adapter is None or not adapter.beside):
            raise InputError(
                f"This recipe's sound stands beside the text, which the adapter {recipe.adapter!r} does not do. "
                "Name the adapter that it was made with."
            )
        defaults, notes = backbone.defaults, []
        native = (defaults.side, defaults.side)
        if opened is not None and recipe.edit is not None:
            opened = opened.with_model(backbone, adapter is not None and adapter.draws)
            defaults = opened.defaults(backbone)
            native, notes = opened.size(backbone), opened.notes(recipe.edit)
        resolved = recipe.replace(
            tracks=recipe.tracks if scene is None else scene.tracks,
            negative_prompt=_given(recipe.negative_prompt, defaults.negative_prompt),
            seed=_given(recipe.seed, secrets.randbelow(MAX_SEED + 1)),
            num_inference_steps=_given(recipe.num_inference_steps, defaults.num_inference_steps),
            guidance_scale=_given(recipe.guidance_scale, defaults.guidance_scale),
            # Left open where it is 1, as in pictures that were made before it was known.
            loudness=recipe.loudness if scene is None else None if scene.loudness == 1 else scene.loudness,
            # Written by hand A* is one word for all sounds, and acts everywhere.
            shares=None if by_hand is not None or packed is None else recipe.shares if scene is None else scene.shares,
            parted=recipe.parted if scene is None else None,
            width=_given(recipe.width, native[0]),
            height=_given(recipe.height, native[1]),
            edit=None if opened is None else opened.edit,
            **names,
            word=packed,
            concepts=concepts,
            sound_tokens=tokens,
            versions=versions(self.choice),
            model_sha256=backbone.digest(),
            adapter_sha256=adapter.digest() if adapter is not None and (adapter.beside or adapter.draws) else None,
        )
        check_size(backbone, _filled(resolved.width), _filled(resolved.height))
        if scene is not None and _can_part(resolved):
            resolved = resolved.replace(parted=True)
        # Word and tokens go through their text form here too, so a replay starts from exactly the same numbers.
        word, placed_words = torch.zeros(0, backbone.dims.text_width), None
        if packed is not None:
            word, placed_words = _words(resolved)
        beside = None
        if adapter is not None and tokens is not None:
            beside = (adapter, torch.from_numpy(unpack_word(tokens))[None].to(self.choice.device))
        if adapter is not None and adapter.instead and recipe.prompt != Recipe().prompt:
            notes = [*notes, "This adapter draws from the sound alone: the prompt is not read."]
        along = adapter if adapter is not None and adapter.draws else None
        notes = [*notes, *differences(recipe, resolved)]
        notes += backbone.notes_at(_filled(resolved.width), _filled(resolved.height))
        return _Order(resolved, backbone, word, placed_words, heard, notes, opened, beside, along)

    def _listen(
        self, recipe: Recipe, name: str, backbone: Backbone, scene: Scene | None, by_hand: Concepts | None
    ) -> tuple[Adapter | None, HeardScene | None, str | None, str | None, str | None]:
        """The adapter (None when the recipe carries a word), what was heard, and for the recipe: the word, the tokens
        and what the word is made of.

        name: the adapter's.  scene: None when nothing is to be heard.  by_hand: phrases that stand instead of the ear.
        """
        packed, tokens, concepts = recipe.word, recipe.sound_tokens, recipe.concepts
        if scene is None and by_hand is None and tokens is None and recipe.adapter_sha256 is None:
            return None, None, packed, tokens, concepts
        adapter, heard = self._models.adapter(recipe.model, name), None
        ear = recipe.ear or adapter.encoder
        listens = scene is not None and by_hand is None
        adapter = adapter.between(backbone, self._hearing.ear(ear) if listens else None, recipe)
        meanings: list[tuple[SoundEmbedding, float]] = []
        if scene is not None:
            meanings, heard = self._hearing.listen_to_scene(scene, ear)
        if listens:
            said, weights = [adapter.condition(one) for one, _ in meanings], [weight for _, weight in meanings]
            packed, tokens = _packed(said, weights, scene is not None and scene.shares is not None)
            parts = [(each, weight) for one, weight in zip(said, weights, strict=True) for each in one.concepts]
            made = parts[0][0] if len(parts) == 1 else joined(parts)
            concepts = write_concepts(made) if made else None
        if by_hand is not None and isinstance(adapter, Spoken):
            packed, tokens = pack_word(adapter.say(by_hand).numpy()), None
        return adapter, heard, packed, tokens, concepts


@dataclass(frozen=True)
class _Order:
    """A request that is ready to be drawn.

    word: float32 [n, D].  placed: regions and a word [n, D] for each, of which `word` then is the middle.
    heard: None when the recipe carried its word.  opened: the photo of an edit.
    beside: an adapter that works beside the text, or instead of it, and the sound's tokens float32 [1, M, E] for it.
    along: an adapter whose own weights draw along, though its sound is a word.
    """

    recipe: Recipe
    backbone: Backbone
    word: torch.Tensor
    placed: tuple[Regions, list[torch.Tensor]] | None
    heard: HeardScene | None
    warnings: list[str]
    opened: Opened | None
    beside: tuple[Adapter, torch.Tensor] | None = None
    along: Adapter | None = None


class _Clock:
    """Times the stages of a request and estimates how long it will still take."""

    def __init__(self) -> None:
        self._began = self._last = self._working = time.monotonic()
        self._laps: dict[str, float] = {}
        self._work = 1.0

    def lap(self, stage: str) -> None:
        """The stage is over; what passed since the one before is its time."""
        now = time.monotonic()
        self._laps[stage] = now - self._last
        self._last = now

    def expect(self, work: float) -> None:
        """From now on `work` units of work are done, a guided denoising step being one."""
        self._work, self._working = work, time.monotonic()

    def step(self, done: float, step: Step) -> Step:
        """The step with its times: `done` units of work are behind us."""
        now = time.monotonic()
        eta = (now - self._working) / done * (self._work - done)
        return replace(step, seconds=now - self._began, eta=eta)

    def timings(self) -> dict[str, float]:
        return self._laps | {"total": time.monotonic() - self._began}


def _by_hand(recipe: Recipe, adapter: str) -> Concepts | None:
    """What the recipe says that A* is made of, None when the ear is to say it. Raises InputError for an adapter that
    is not made of phrases.
    """
    if recipe.concepts is None:
        return None
    if not issubclass(adapter_kind(adapter), Spoken):
        raise InputError(
            f"The adapter {adapter!r} makes A* of what it has learned, not of phrases such as "
            f"{recipe.concepts[:40]!r}. Use the adapter 'concepts'."
        )
    return read_concepts(recipe.concepts)


def _packed(said: list[Conditioning], weights: list[float], placed: bool) -> tuple[str | None, str | None]:
    """Word and tokens of one sound, or between several, as texts for the recipe; None for what is not there.

    placed: whether each sound keeps its word, to act with its share of the picture. Tokens are blended.
    """
    words = [one.word[0].detach().float().cpu().numpy() for one in said]
    tokens = [one.tokens[0].detach().float().cpu().numpy() for one in said if one.tokens is not None]
    word = np.concatenate(spread_words(words)) if placed else blend_words(words, weights)
    return (
        pack_word(word) if len(word) else None,
        pack_word(blend_tokens(tokens, weights)) if tokens else None,
    )


def _can_part(recipe: Recipe) -> bool:
    """Whether several sounds of a resolved recipe stand at one place, each with a word of its own."""
    if recipe.shares is None or recipe.join == "morph":  # which is one thing that becomes another
        return False
    pans = [track.pan for track, share in zip(recipe.tracks, recipe.shares, strict=True) if share > 0]
    return len(pans) > 1 and Regions(tuple(pans), (1.0,) * len(pans)).everywhere


def _words(recipe: Recipe) -> tuple[torch.Tensor, tuple[Regions, list[torch.Tensor]] | None]:
    """The word of a resolved recipe; with several placed sounds also the regions and the word of each.

    Raises InputError when the word does not hold one word for each placed sound.
    """
    vectors = unpack_word(_filled(recipe.word))
    if recipe.shares is None:
        return torch.from_numpy(vectors), None
    still = recipe.join == "morph"  # one thing that becomes another, wherever its sounds stand
    sounding = [
        (0.0 if still else track.pan, share)
        for track, share in zip(recipe.tracks, recipe.shares, strict=True)
        if share > 0
    ]
    if len(vectors) % len(sounding):
        raise InputError(
            f"The word in this recipe is damaged: {len(vectors)} vectors cannot be the words of its "
            f"{len(sounding)} placed sounds."
        )
    words = np.split(vectors, len(sounding))
    pans, shares = zip(*sounding, strict=True)
    middle = torch.from_numpy(blend_words(words, shares))
    return middle, (Regions(pans, shares), [torch.from_numpy(word) for word in words])


def _picture(backbone: Backbone, latents: torch.Tensor) -> Image.Image:
    """Decode and check: a picture of one colour is a failure, not a picture."""
    with backbone.lock:
        pixels: Any = backbone.decode(latents)[0]
    if int(pixels.max()) - int(pixels.min()) < 3:
        raise HearsightError(
            "The model drew an empty picture. Try another seed or lower guidance; "
            "if it happens always, the model's weights are damaged."
        )
    return Image.fromarray(pixels)


def _given(value: Value | None, default: Value) -> Value:
    return default if value is None else value


def _filled(value: Value | None) -> Value:
    """A field of a resolved recipe, which is never None."""
    if value is None:
        raise TypeError("a resolved recipe has no open fields")
    return value
