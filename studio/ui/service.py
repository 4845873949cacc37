"""What one running app shares between its visitors: the engine, the waiting line, who has pressed Stop."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from studio.errors import HearsightError, InputError
from studio.hub import download_allowed
from studio.library.sounds import KeptSounds
from studio.limits import limits, offered_models
from studio.paths import pictures_folder, weights_home
from studio.recipe import Recipe, Track
from studio.result import Heard, HeardScene
from studio.ui import words
from studio.ui.hosting import on_zero_gpu
from studio.ui.line import Line, Ticket

if TYPE_CHECKING:
    from studio.device import DeviceChoice
    from studio.engine import Engine
    from studio.scene import Scene
    from studio.sound.clip import Clip

log = logging.getLogger("hearsight.app")

_PLACES = 2000  # of all open pages; beyond them the oldest is forgotten, and then what is asked last is not known
STOPS_AT_ONCE = 0.7  # s; a small model's step is over by then, and a large one's is worth a word


class Model(Enum):
    """How far the model is. The values are the CSS classes of the page's chip."""

    WAITING = "waiting"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Condition:
    """How far the model is, and what to say about it (the device when ready, the error when failed)."""

    model: Model
    detail: str = ""


def _embedded() -> Engine:
    from studio.engine import Engine  # torch and diffusers: seconds, so never before the page is up
    from studio.ui.zero_gpu import LentEngine

    return LentEngine() if on_zero_gpu() else Engine()


class Service:
    """The engine is made once, in the background, by `warm_up`, or by the first request.

    model, adapter, encoder: what recipes made here name.  home: where pictures go, None = the user's data folder.
    hosted: strangers share this app, so that each sees only the pictures of their own browser; None = on a Space.
    make_engine: returns an engine, which need not have loaded anything.
    """

    def __init__(
        self,
        model: str = "pocket",
        adapter: str = "auto",
        encoder: str = "pocket",
        *,
        home: Path | None = None,
        hosted: bool | None = None,
        make_engine: Callable[[], Engine] = _embedded,
    ) -> None:
        self.model, self.adapter, self.encoder = model, adapter, encoder
        self.pictures = pictures_folder(home)
        self.hosted = bool(os.environ.get("SPACE_ID")) if hosted is None else hosted
        # Strangers' voices are not ours to keep.
        self.sounds = None if self.hosted else KeptSounds(self.pictures.parent / "sounds")
        self.line = Line()
        self.condition = Condition(Model.WAITING)
        self._make_engine = make_engine
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self._loading: threading.Thread | None = None
        self._stops: dict[str, set[threading.Event]] = {}
        self._asked: OrderedDict[tuple[str, str], object] = OrderedDict()

    def warm_up(self) -> None:
        """Start loading the model in the background, unless it is loaded or loading. Returns at once."""
        with self._lock:
            if self._engine is None and (self._loading is None or not self._loading.is_alive()):
                self.condition = Condition(Model.LOADING)
                self._loading = threading.Thread(target=self.load, name="warm-up", daemon=True)
                self._loading.start()

    def load(self) -> None:
        """Load the model and say so in `condition`, also that it cannot be loaded."""
        try:
            engine = self._make_engine()
            engine.load(self.model, self.adapter)
        except HearsightError as error:
            log.error("The model could not be loaded: %s", error)
            self.condition = Condition(Model.FAILED, str(error))
        except Exception:  # whatever it is, the page stays up and says so
            log.exception("The model could not be loaded")
            self.condition = Condition(Model.FAILED)
        else:
            self._engine = engine
            self.condition = Condition(Model.READY, engine.choice.device.type.upper())

    def engine(self, timeout: float) -> Engine | None:
        """The engine, or None when it is not loaded after `timeout` seconds.

        Raises HearsightError when it cannot be loaded; the next call tries again.
        """
        if self._engine is None:
            self.warm_up()
            loading = self._loading
            if loading is not None:
                loading.join(timeout)
                if not loading.is_alive() and self._engine is None:
                    raise HearsightError(self.condition.detail or words.OUR_FAULT)
        return self._engine

    @property
    def device(self) -> str:
        """What the loaded model computes on, and why, in words; empty before."""
        return "" if self._engine is None else self._engine.choice.reason

    @property
    def choice(self) -> DeviceChoice | None:
        """Where the loaded model computes; None before."""
        return None if self._engine is None else self._engine.choice

    def hear(self, track: Track) -> Heard | None:
        """What the ear hears, or None while the model is still loading. Raises HearsightError like the engine."""
        engine = self.engine(timeout=1.0)
        return None if engine is None else engine.hear(track, self.encoder)

    def character(self, track: Track) -> str:
        """Pitch and tempo of a track for people, empty where it has none. Raises HearsightError like the engine."""
        from studio.sound.character import character  # librosa: never before the page is up

        return str(character(self.scene(Recipe(tracks=(track.replace(mute=False, solo=False),))).clip))

    def hear_scene(self, recipe: Recipe) -> HeardScene | None:
        """The same for all sounds of a recipe, together and each alone."""
        engine = self.engine(timeout=1.0)
        return None if engine is None else engine.hear_scene(recipe, encoder=self.encoder)

    def scene(self, recipe: Recipe) -> Scene:
        """The sounds of a recipe, joined and each alone: no model is needed for that, so nobody waits for one here.

        Raises HearsightError like the engine.
        """
        from studio.scene import prepare_scene  # with scipy, so never before the page is up

        return prepare_scene(recipe)

    def as_heard(self, recipe: Recipe) -> list[Clip | None] | None:
        """Each track exactly as the ear gets it, or None while the model is still loading. Raises like the engine."""
        engine = self.engine(timeout=1.0)
        return None if engine is None else engine.as_heard(recipe, encoder=self.encoder)

    def at_home(self, recipe: Recipe) -> Recipe:
        """A recipe with its model and adapter as the menus name them: those of the app and of the user's own folders
        by their names, with which a picture leaves the page.
        """
        ours = {Path(name).name: name for name in (self.model, self.adapter)}
        model, adapter = (
            path.name if (path := Path(name)).parent == weights_home() / kind else name
            for name, kind in ((recipe.model, "models"), (recipe.adapter, "adapters"))
        )
        return recipe.replace(model=ours.get(model, model), adapter=ours.get(adapter, adapter))

    def allowed(self, recipe: Recipe) -> Recipe:
        """A recipe as this app's limits let it be made. Raises InputError when it asks for more than they give."""
        from studio.ui.fine_panel import model_defaults

        here = limits()
        here.check(recipe)
        if not self.offers(recipe.model):
            raise InputError(words.MODEL_NOT_OFFERED.format(model=Path(recipe.model).name))
        if not self.hosted and not self.here(recipe.model):
            raise InputError(words.MODEL_NOT_HERE.format(model=recipe.model))
        if self.hosted and recipe.adapter != self.adapter and Path(recipe.adapter).name != recipe.adapter:
            raise InputError(words.ADAPTER_NOT_OFFERED.format(adapter=Path(recipe.adapter).name))
        like = model_defaults(recipe.model)
        return here.settle(recipe, like["picture_size"], like["num_inference_steps"])

    def offers(self, model: str) -> bool:
        """Whether visitors may draw with an image model: HEARSIGHT_OFFERED_MODELS says which. Where it is not set,
        strangers get the embedded ones, and the owner of the machine all.
        """
        names = offered_models()
        if names is None and self.hosted:
            from studio.backbones.hub import embedded_models  # torch, not before the page is up

            names = embedded_models()
        return names is None or model in (self.model, *names)

    def here(self, model: str) -> bool:
        """Whether an image model need not be downloaded, or may be: HEARSIGHT_ALLOW_DOWNLOAD says yes beforehand."""
        if "/" not in model or Path(model).is_absolute() or download_allowed():
            return True
        from studio.backbones._known import KNOWN  # torch, not before the page is up
        from studio.backbones.hub import cached_model

        return model not in [one.name for one in KNOWN] or cached_model(model) is not None

    def let_go(self, keep: str) -> None:
        """Another image model was chosen: the one before is forgotten in the background, unless others share the app
        and may want it. What is being drawn with it is finished.
        """
        engine = self._engine
        if engine is not None and not self.hosted:
            threading.Thread(target=engine.let_go, args=(keep,), name="let-go", daemon=True).start()

    @property
    def held(self) -> int:
        """Bytes that another image model would find free, because the one that is loaded would go."""
        return 0 if self._engine is None else self._engine.held

    def join_line(self) -> Ticket:
        """A place in the waiting line. Raises InputError when too many wait already."""
        if len(self.line) >= limits().below("waiting", float("inf")):
            raise InputError(words.LINE_FULL.format(ahead=len(self.line)))
        return self.line.join()

    def newest(self, session: str, place: str) -> Callable[[], bool]:
        """Says whether this is still the last time that a page asked for what stands at a place of it.

        An earlier question may be answered later: both wait for the model, and nobody knows which goes on first.
        """
        asked = object()
        with self._lock:
            self._asked[session, place] = asked
            self._asked.move_to_end((session, place))
            while len(self._asked) > _PLACES:
                self._asked.popitem(last=False)
        return lambda: self._asked.get((session, place), asked) is asked

    @contextmanager
    def stoppable(self, session: str) -> Iterator[threading.Event]:
        """A flag that `stop(session)` sets while the block runs. session: Gradio's name for one open page."""
        flag = threading.Event()
        with self._lock:
            self._stops.setdefault(session, set()).add(flag)
        try:
            yield flag
        finally:
            with self._lock:
                flags = self._stops.get(session, set())
                flags.discard(flag)
                if not flags:
                    self._stops.pop(session, None)

    def stop(self, session: str) -> bool:
        """Ask whatever this page is making to stop at its next step; False when it makes nothing, or has stopped at
        once: then what it says itself must not be followed by "stopping", which would stay on the page.
        """
        with self._lock:
            flags = set(self._stops.get(session, set()))
            for flag in flags:
                flag.set()
        end = time.monotonic() + STOPS_AT_ONCE
        while (going := self._goes_on(session, flags)) and time.monotonic() < end:
            time.sleep(0.02)
        return going

    def _goes_on(self, session: str, flags: set[threading.Event]) -> bool:
        with self._lock:
            return bool(flags & self._stops.get(session, set()))
