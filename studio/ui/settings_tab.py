"""The Settings tab: look and language, what new pictures begin with, where things are kept, keys, privacy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from studio.paths import photo_cache_folder
from studio.ui import language, status, storage, words
from studio.ui.create import CreateTab
from studio.ui.fine_panel import model_defaults
from studio.ui.preferences import CLEAN_VOICE, FIELDS, kept
from studio.ui.record_panel import is_here

Updates = dict[Any, Any]
SETTINGS_ID = "settings"
BROWSER = "browser"  # the language that the browser asks for
_QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
_SHOW = "() => [window.hearsight.theme(), window.hearsight.language()]"


@dataclass(frozen=True)
class SettingsTab:
    """The controls of the tab and what their events do.

    fields: the sliders by the recipe's names.  stored: BrowserState, what this browser keeps for new pictures.
    """

    create: CreateTab
    theme: gr.Radio
    language: gr.Radio
    fields: dict[str, gr.Slider]
    clean_voice: gr.Checkbox
    reset: gr.Button
    line: gr.HTML
    places: gr.HTML
    empty: gr.Button
    empty_sounds: gr.Button
    emptied_line: gr.HTML
    machine: gr.HTML
    stored: gr.BrowserState

    @property
    def bounds(self) -> dict[str, tuple[float, float, float]]:
        """Minimum, maximum and step of the sliders in Create, which may be narrower than a recipe's own."""
        own = {name: self.create.fine.inputs[name] for name in FIELDS}
        return {name: (one.minimum, one.maximum, one.step or 1) for name, one in own.items()}  # type: ignore[attr-defined]

    @property
    def inputs(self) -> dict[str, Any]:
        """What is kept, by name."""
        return {**self.fields, CLEAN_VOICE: self.clean_voice}

    @property
    def applied_to(self) -> list[Any]:
        """Everything that bringing them back changes, here and in Create."""
        fine = [self.create.fine.inputs[name] for name in FIELDS]
        return [*self.fields.values(), *fine, self.clean_voice, self.create.clean_voice]

    def opened(self, stored: object) -> Updates:
        """The page is open: Create begins with what this browser keeps."""
        return self._applied(kept(stored, self.bounds)) or {self.line: gr.skip()}

    def _applied(self, values: dict[str, Any]) -> Updates:
        updates: Updates = {}
        for name in FIELDS:
            if name in values:
                updates |= {self.fields[name]: values[name], self.create.fine.inputs[name]: values[name]}
        if CLEAN_VOICE in values:
            updates |= {self.clean_voice: values[CLEAN_VOICE], self.create.clean_voice: values[CLEAN_VOICE]}
        return updates

    def changed(self, **values: Any) -> Updates:
        """A slider was moved: it is kept, and acts in Create at once."""
        now = kept(values, self.bounds)
        fine = {self.create.fine.inputs[name]: now[name] for name in FIELDS if name in now}
        return {
            **fine,
            self.create.clean_voice: values[CLEAN_VOICE],
            self.stored: now,
            self.line: status.note(words.SETTINGS_KEPT),
        }

    def voiced(self, clean: bool, stored: object) -> Updates:
        """The same switch was pressed in Create."""
        return {self.clean_voice: clean, self.stored: {**kept(stored, self.bounds), CLEAN_VOICE: clean}}

    def forgotten(self, model: str) -> Updates:
        """Back to the model's own values. model: the one that is chosen in Create."""
        like = model_defaults(model)
        own = {name: self.create.fine.inputs[name].value for name in ("count", "preview_every")}
        values = {**own, **{name: like[name] for name in ("num_inference_steps", "guidance_scale")}}
        values |= {"width": like["picture_size"], "height": like["picture_size"], CLEAN_VOICE: False}
        applied = self._applied(kept(values, self.bounds))
        return {**applied, self.stored: {}, self.line: status.note(words.SETTINGS_RESET_DONE)}

    def selected(self, model: str, adapter: str, request: gr.Request) -> Updates:
        """The tab was opened: what is kept where, and on what it computes, for whom that is his own machine."""
        here = self._here(request)
        return {
            self.places: self._places() if here else _sentence(self._elsewhere()),
            self.empty: gr.Button(visible=here, interactive=here and _read_size() > 0),
            self.empty_sounds: gr.Button(visible=here, interactive=here and self._sounds()[0] > 0),
            self.machine: self._machine(here, model, adapter),
            self.emptied_line: "",
        }

    def emptied(self, request: gr.Request) -> Updates:
        """Delete what was read of photos."""
        return self._freed(request, lambda: storage.emptied(photo_cache_folder()))

    def emptied_sounds(self, request: gr.Request) -> Updates:
        """Delete the sounds that are kept for pictures."""
        kept = self.create.service.sounds
        return self._freed(request, lambda: 0 if kept is None else kept.empty())

    def _freed(self, request: gr.Request, delete: Callable[[], int]) -> Updates:
        """Hidden is not locked, so it is asked again who asks. delete: gives the bytes that are free now."""
        if not self._here(request):
            return {self.emptied_line: status.mistake(self._elsewhere())}
        freed = storage.spoken_size(delete())
        return {
            self.places: self._places(),
            self.empty: gr.Button(interactive=_read_size() > 0),
            self.empty_sounds: gr.Button(interactive=self._sounds()[0] > 0),
            self.emptied_line: status.note(words.SETTINGS_EMPTIED.format(size=freed)),
        }

    def _sounds(self) -> tuple[int, int]:
        """How many sounds are kept for pictures, and their bytes."""
        kept = self.create.service.sounds
        return (0, 0) if kept is None else storage.held(kept.held())

    def _here(self, request: gr.Request) -> bool:
        return not self.create.service.hosted and is_here(request)

    def _elsewhere(self) -> str:
        return words.SETTINGS_SHARED if self.create.service.hosted else words.SETTINGS_DISTANT

    def _places(self) -> str:
        pictures, cache = self.create.service.pictures, photo_cache_folder()
        count, size = storage.held(path for path in pictures.glob("*.png") if not path.name.startswith("."))
        said = words.SETTINGS_PICTURES_ARE.format(count=count, size=storage.spoken_size(size))
        count, size = self._sounds()
        sounds = words.SETTINGS_PICTURES_ARE.format(count=count, size=storage.spoken_size(size))
        read = storage.spoken_size(_read_size())
        rows = [
            (words.SETTINGS_PICTURES, f"{said}: {pictures}"),
            (words.SETTINGS_SOUNDS, f"{sounds}: {pictures.parent / 'sounds'}"),
            (words.SETTINGS_TEMPLATES, str(self.create.words.shelf.folder)),
            (words.SETTINGS_CACHE, f"{read}: {cache}"),
        ]
        return _listed(rows) + _sentence(words.SETTINGS_SOUNDS_INFO) + _sentence(words.SETTINGS_CACHE_INFO)

    def _machine(self, here: bool, model: str, adapter: str) -> str:
        service = self.create.service
        rows = [(words.SETTINGS_MODEL, Path(model).name), (words.SETTINGS_ADAPTER, Path(adapter).name)]
        rows += [(words.SETTINGS_EAR, service.encoder)]
        if here:  # what a server computes on is nobody's business
            rows.append((words.SETTINGS_DEVICE, service.device or words.SETTINGS_LOADING))
        return _listed(rows)


def _read_size() -> int:
    """Bytes of what was read of photos."""
    return storage.held(photo_cache_folder().glob("*.safetensors"))[1]


def _sentence(text: str) -> str:
    return f'<p class="hint">{escape(text)}</p>'


def _listed(rows: list[tuple[str, str]]) -> str:
    inner = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return f'<div class="details"><dl>{inner}</dl></div>'


def _heading(text: str) -> None:
    gr.HTML(f"<h2>{text}</h2>", elem_classes="heading")


def build_stored() -> gr.BrowserState:
    """What this browser keeps. To be laid out outside of the tabs: one that is not in view has no storage yet."""
    return gr.BrowserState(None, storage_key="hearsight-preferences", secret="hearsight")


def build_settings_tab(create: CreateTab, stored: gr.BrowserState, tab: gr.Tab, demo: gr.Blocks) -> SettingsTab:
    """Lay the tab out inside the current Gradio block and wire it. stored: `build_stored`.  tab: this one's own."""
    parts: dict[str, Any] = {}
    with gr.Row(elem_id="settings"):
        with gr.Column(scale=1, min_width=320, elem_classes="cards"):
            with gr.Column(elem_classes="card"):
                _build_look(parts)
            with gr.Column(elem_classes="card"):
                _build_new(parts, create)
        with gr.Column(scale=1, min_width=320, elem_classes="cards"):
            with gr.Column(elem_classes="card"):
                _heading(words.SETTINGS_STORAGE)
                parts["places"] = gr.HTML("", elem_id="settings_places")
                parts["empty_sounds"] = gr.Button(
                    words.SETTINGS_EMPTY_SOUNDS, size="md", visible=False, elem_id="settings_empty_sounds"
                )
                parts["empty"] = gr.Button(words.SETTINGS_EMPTY, size="md", visible=False, elem_id="settings_empty")
                parts["emptied_line"] = gr.HTML("", elem_id="settings_emptied")
            with gr.Column(elem_classes="card"):
                _heading(words.SETTINGS_MACHINE)
                parts["machine"] = gr.HTML("", elem_id="settings_machine")
            with gr.Column(elem_classes="card"):
                _heading(words.SETTINGS_KEYS)
                keys = "".join(
                    f"<dt><kbd>{key}</kbd></dt><dd>{text}</dd>" for key, text in words.SETTINGS_KEYS_ARE.items()
                )
                gr.HTML(f'<div class="details"><dl>{keys}</dl></div>', elem_id="settings_keys")
            with gr.Column(elem_classes="card"):
                _heading(words.SETTINGS_PRIVACY)
                gr.HTML(f"<p class='hint'>{words.SETTINGS_PRIVACY_IS}</p>", elem_id="settings_privacy")
    built = SettingsTab(create=create, stored=stored, **parts)
    _wire(built, tab, demo)
    return built


def _build_look(parts: dict[str, Any]) -> None:
    _heading(words.SETTINGS_LOOK)
    parts["theme"] = gr.Radio(
        [(title, name) for name, title in words.SETTINGS_THEMES.items()],
        value="system",
        label=words.SETTINGS_THEME,
        elem_id="settings_theme",
        elem_classes="chips",
    )
    known = [(one.name, one.code) for one in language.languages().values()]
    parts["language"] = gr.Radio(
        [(words.SETTINGS_OF_BROWSER, BROWSER), ("English", language.ENGLISH), *known],
        value=BROWSER,
        label=words.SETTINGS_LANGUAGE,
        info=words.SETTINGS_LANGUAGE_INFO,
        elem_id="settings_language",
        elem_classes="chips",
    )


def _build_new(parts: dict[str, Any], create: CreateTab) -> None:
    _heading(words.SETTINGS_NEW)
    gr.HTML(f'<p class="hint">{words.SETTINGS_NEW_ABOUT}</p>')
    fields: dict[str, gr.Slider] = {}
    for pair in (FIELDS[:2], FIELDS[2:4], FIELDS[4:]):
        with gr.Row(elem_classes="faders"):
            for name in pair:
                like: Any = create.fine.inputs[name]
                fields[name] = gr.Slider(
                    like.minimum,
                    like.maximum,
                    like.value,
                    step=like.step,
                    label=like.label,
                    elem_id=f"settings_{name}",
                    min_width=200,
                )
    parts["fields"] = fields
    parts["clean_voice"] = gr.Checkbox(
        False, label=words.CLEAN_VOICE, info=words.CLEAN_VOICE_INFO, elem_id="settings_clean_voice"
    )
    parts["reset"] = gr.Button(words.SETTINGS_RESET, size="md", elem_id="settings_reset")
    parts["line"] = gr.HTML("", elem_id="settings_status")


def _wire(tab: SettingsTab, page: gr.Tab, demo: gr.Blocks) -> None:
    create = tab.create
    tab.theme.input(None, tab.theme, None, js="(name) => { window.hearsight.setTheme(name); return []; }")
    tab.language.input(None, tab.language, None, js="(code) => { window.hearsight.setLanguage(code); return []; }")
    page.select(None, None, [tab.theme, tab.language], js=_SHOW)
    page.select(
        tab.selected,
        [create.models.model, create.models.adapter],
        [tab.places, tab.empty, tab.empty_sounds, tab.machine, tab.emptied_line],
        **_QUIET,
    )
    freeing = [tab.places, tab.empty, tab.empty_sounds, tab.emptied_line]
    tab.empty.click(tab.emptied, None, freeing, **_QUIET)
    tab.empty_sounds.click(tab.emptied_sounds, None, freeing, **_QUIET)

    demo.load(tab.opened, tab.stored, [*tab.applied_to, tab.line], **_QUIET)
    # By hand, because Create's switch may be folded away, where Gradio sends no change of it.
    demo.load(None, tab.stored, None, js="(kept) => { window.hearsight.cleanVoice = !!kept?.clean_voice; return []; }")
    tab.clean_voice.input(None, tab.clean_voice, None, js="(on) => { window.hearsight.cleanVoice = on; return []; }")
    tab.reset.click(None, None, None, js="() => { window.hearsight.cleanVoice = false; return []; }")
    # release and not change for the sliders: bringing values back must not write them again
    moved = [one.release for one in tab.fields.values()] + [one.input for one in tab.fields.values()]
    gr.on(
        [*moved, tab.clean_voice.input],
        tab.changed,
        inputs_kwargs=tab.inputs,
        outputs=[*(create.fine.inputs[name] for name in FIELDS), create.clean_voice, tab.stored, tab.line],
        trigger_mode="always_last",
        **_QUIET,
    )
    create.clean_voice.input(tab.voiced, [create.clean_voice, tab.stored], [tab.clean_voice, tab.stored], **_QUIET)
    tab.reset.click(tab.forgotten, create.models.model, [*tab.applied_to, tab.stored, tab.line], **_QUIET)
