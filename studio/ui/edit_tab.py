"""The Edit tab: a photo, changed as the sounds of the desk say, or another sound; before and after side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image, ImageOps

from studio.errors import HearsightError
from studio.limits import limits
from studio.recipe import Edit, Recipe, Track
from studio.ui import jobs, status, words
from studio.ui.album import show
from studio.ui.create import CreateTab
from studio.ui.edit_controls import build_controls, build_result, mask_of, opened_photo
from studio.ui.fine_panel import model_defaults, seed_of
from studio.ui.journey_tab import sound_names, sounds_line
from studio.ui.menus import same_voice, spoken_fields
from studio.ui.tracks import arrangement, unchanged

Updates = dict[Any, Any]
EDIT_ID = "edit"
_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_LIGHT: dict[str, Any] = {"queue": False, **_QUIET}
OF_EDIT = ("method", "source_prompt", "keep_layout", "keep_detail", "emphasis", "local", "noise", "variation")


def read(values: Mapping[str, Any], model: str, adapter: str) -> tuple[Recipe, Image.Image | None]:
    """The recipe that the controls stand for, and the painted mask, None where nothing is painted.

    values: by the names of `EditTab.inputs`. A restored picture's own word is used until one of its sounds, or how
    they are joined, is changed. Raises HearsightError when a value is out of its bounds, or when there is no photo or
    no sound that can be used.
    """
    photo = values["edit_photo"]
    if not photo:
        raise HearsightError(words.EDIT_NO_PHOTO)
    edit = Edit.of(photo, **{name: values[f"edit_{name}"] for name in OF_EDIT})
    fields: dict[str, Any] = {
        "prompt": values["edit_prompt"],
        "sound_strength": values["edit_sound_strength"],
        "guidance_scale": values["edit_guidance_scale"],
        "num_inference_steps": values["edit_num_inference_steps"],
        "seed": seed_of(values["edit_seed"]),
        "count": 1,
    }
    carried, mask = values["carried"], mask_of(values["edit_mask"])
    made: dict[str, Any] = {"edit": edit, "model": model, "adapter": adapter, **spoken_fields(values)}
    if values["edit_sound"]:
        return Recipe(tracks=(Track.of(values["edit_sound"]),), **made, **fields), mask
    if not isinstance(carried, Recipe) or not (unchanged(carried, values) and same_voice(carried, values)):
        return Recipe(**arrangement(values), **made, **fields), mask
    fields |= {"negative_prompt": None, "width": None, "height": None}  # these follow the photo
    before = carried.edit
    if before is not None:  # so that another photo is noticed, and what the tab has no control for stays
        edit = edit.replace(sha256=before.sha256, words=before.words, check=before.check)
        if before.source_prompt == edit.source_prompt and before.method == edit.method:
            fields["negative_prompt"] = carried.negative_prompt
    return carried.replace(edit=edit, **fields), mask


@dataclass(frozen=True)
class EditTab:
    """The controls of the tab and what their events do.

    fold, again: the photo as it comes back.  drop: a picture whose settings are wanted (`studio.ui.edit_arrivals`).
    touched: State of bool, whether somebody has written a prompt here, which then no longer follows the Create tab.
    followed: State of str, the image model whose steps and guidance the sliders show.
    """

    create: CreateTab
    controls: dict[str, Any]
    photo_line: gr.HTML
    sounds: gr.HTML
    about: gr.HTML
    slider: gr.ImageSlider
    line: gr.HTML
    make: gr.Button
    stop: gr.Button
    facts: gr.HTML
    download: gr.DownloadButton
    fold: gr.Accordion
    again: gr.Image
    drop: gr.File
    touched: gr.State
    followed: gr.State

    @property
    def inputs(self) -> dict[str, Any]:
        """Everything an edit is read from, by name."""
        create = self.create
        return {**create.sound.inputs, **create.models.inputs, **self.controls, "visitor": create.visitor}

    @property
    def changing(self) -> list[Any]:
        """Everything that an edit may change."""
        return [self.slider, self.line, self.make, self.stop, self.facts, self.download, self.fold, self.again]

    def made(self, request: gr.Request, **values: Any) -> Iterator[Updates]:
        """Change photo was pressed."""
        service, recipe = self.create.service, None
        try:
            recipe, mask = read(values, values["image_model"], values["adapter"])
            recipe = service.at_home(recipe)
            yield {
                self.make: gr.Button(words.MAKE_BUSY, interactive=False),
                self.stop: gr.Button(interactive=True),
                self.line: status.busy(words.STARTING),
            }
            before, _ = opened_photo(values["edit_photo"])
            album = self.create.album(values["visitor"])
            for moment in jobs.make(service, str(request.session_hash), album, recipe, mask):
                yield self._moment(moment, before)
            yield self.unlocked()
        except Exception as error:  # a sentence on the page, never a trace; GeneratorExit (tab closed) passes by
            photo = recipe.edit.photo if recipe is not None and recipe.edit is not None else None
            text = jobs.sentence(error, recipe)
            text = jobs.without_folders(text, photo) if photo else text
            yield {self.line: status.mistake(text), **self.unlocked()}
            raise gr.Error(escape(text, quote=False), print_exception=False) from None

    def _moment(self, moment: jobs.Moment, before: Image.Image) -> Updates:
        match moment:
            case jobs.Waiting(ahead=ahead, seconds=seconds):
                return {self.line: status.waiting(ahead, seconds)}
            case jobs.Loading(model=model):
                return {self.line: status.loading(model)}
            case jobs.Drawing(step=step, eta=eta):
                line = {self.line: status.editing(step.phase, step.index, step.total, eta)}
                if step.preview is None:
                    return line
                photo = ImageOps.fit(before, step.preview.size)
                return {
                    **line,
                    self.slider: gr.ImageSlider((photo, step.preview)),
                    self.facts: "",
                    self.download: gr.DownloadButton(interactive=False),
                }
            case jobs.Stopped():
                return {self.line: status.note(words.EDIT_STOPPED)}
            case jobs.Saved():
                return self._saved(moment)

    def _saved(self, saved: jobs.Saved) -> Updates:
        served = show(saved.path)
        done = words.DONE.format(seconds=status.length(saved.seconds))
        before = saved.picture if saved.read is None else saved.read.photo
        known = "" if saved.read is None else f'<p class="hint">{known_line(saved.read)}</p>'
        again = None if saved.read is None else saved.read.reconstruction
        return {
            self.fold: gr.Accordion(visible=again is not None),
            self.again: gr.Image(again),
            self.slider: gr.ImageSlider((before, served)),
            self.line: status.note(". ".join([done, *saved.warnings])),
            self.facts: status.about(saved.recipe, saved.path.name) + known,
            self.download: gr.DownloadButton(value=served, interactive=True),
        }

    def unlocked(self) -> Updates:
        """Change photo can be pressed again, whatever happened."""
        return {self.make: gr.Button(words.EDIT_MAKE, interactive=True), self.stop: gr.Button(interactive=False)}

    def stopped(self, request: gr.Request) -> Any:
        """Stop was pressed: the step in hand is finished first."""
        return status.busy(words.STOPPING) if self.create.service.stop(str(request.session_hash)) else gr.skip()

    def photographed(self, path: str | None) -> Updates:
        """A photo was dropped or taken away: it is shown to be painted on, or it is said why it cannot be used."""
        canvas = self.controls["edit_mask"]
        if not path:
            return {canvas: gr.ImageEditor(None, visible=False), self.photo_line: ""}
        try:
            shown, text = opened_photo(path)
        except HearsightError as error:
            line = status.mistake(jobs.without_folders(str(error), path))
            return {canvas: gr.ImageEditor(None, visible=False), self.photo_line: line}
        value: Any = {"background": shown, "layers": [], "composite": None}
        return {
            canvas: gr.ImageEditor(value, visible=True),
            self.photo_line: f'<p class="hint">{escape(text)} {words.EDIT_MASK_HINT}</p>',
            # In view before the work begins: Gradio loses what becomes visible and hidden in quick succession.
            self.slider: gr.ImageSlider((shown, shown), visible=True),
            self.line: status.note(words.EDIT_READY_NOW),
            self.facts: "",
            self.download: gr.DownloadButton(interactive=False),
        }

    def chosen(self, method: str) -> Updates:
        """A method was chosen: the controls it has, and a line that says what it does."""
        about = f'<p class="hint" role="status">{words.EDIT_ABOUT[method]}</p>'
        return {self.about: about, **self.set_for(method, {})}

    def set_for(self, method: str, values: Mapping[str, Any]) -> Updates:
        """The controls that not every method has, seen or not, with these values where there are some."""
        words_only, noise_only = method == "p2p", method == "sdedit"
        seen = {
            "keep_layout": not noise_only,
            "keep_detail": not noise_only,
            "noise": noise_only,
            "emphasis": words_only,
            "local": words_only,
        }
        given = {name: {"value": values[name]} if name in values else {} for name in seen}
        return {
            self.controls[f"edit_{name}"]: (gr.Checkbox if name == "local" else gr.Slider)(
                visible=visible, **given[name]
            )
            for name, visible in seen.items()
        }

    def selected(self, prompt: str, touched: bool, followed: str, **values: Any) -> Updates:
        """The tab was opened: it says which sounds are used, and its prompt follows the Create tab until written.
        Steps and guidance follow when another image model was chosen there.
        """
        follow: Updates = {} if touched else {self.controls["edit_prompt"]: prompt}
        model = values["image_model"]
        if followed != model:
            like, most = model_defaults(model), limits()
            follow[self.controls["edit_num_inference_steps"]] = int(most.below("steps", like["num_inference_steps"]))
            follow |= {self.controls["edit_guidance_scale"]: like["edit_guidance_scale"], self.followed: model}
        return {self.sounds: self.sounds_used(**values), **follow}

    def sounds_used(self, **values: Any) -> str:
        """Which sounds an edit would use, as HTML."""
        path = values["edit_sound"]
        names = [Path(path).name] if path else sound_names({**values, "journey_files": None})
        return sounds_line(names, bool(path), "volume")


def known_line(read: Any) -> str:
    """How well the photo came back, and whether it was known, as text. read: a PhotoRead."""
    best = f"{read.autoencoder_psnr:.1f}"
    if read.psnr is None:
        return f"{words.EDIT_UNCHECKED.format(best=best)}."
    known = words.EDIT_CACHED if read.cached else words.EDIT_READ.format(count=read.evaluations)
    return f"{words.EDIT_KNOWN.format(psnr=f'{read.psnr:.1f}', best=best)}; {known}."


def build_edit_tab(create: CreateTab, tab: gr.Tab) -> EditTab:
    """Lay the tab out inside the current Gradio block and wire it. tab: this one's own."""
    with gr.Row(elem_id="edit"):
        with gr.Column(scale=5, min_width=320, elem_id="edit_making"):
            making = build_controls(create.service.model)
        with gr.Column(scale=6, min_width=320, elem_id="edit_result"), gr.Column(elem_classes="card"):
            result = build_result()
    built = EditTab(
        create=create, touched=gr.State(False), followed=gr.State(create.service.model), **making, **result
    )
    _wire(built, tab)
    return built


def _wire(edit: EditTab, tab: gr.Tab) -> None:
    controls = edit.controls
    making = edit.make.click(
        edit.made, inputs_kwargs=edit.inputs, outputs=edit.changing, concurrency_limit=None, **_QUIET
    )
    making.then(edit.unlocked, None, [edit.make, edit.stop], **_LIGHT)  # also after a lost connection
    edit.stop.click(edit.stopped, None, edit.line, **_LIGHT)

    photo = controls["edit_photo"]
    photo.change(
        edit.photographed,
        photo,
        [controls["edit_mask"], edit.photo_line, edit.slider, edit.line, edit.facts, edit.download],
        **_QUIET,
    )
    shown = ("keep_layout", "keep_detail", "noise", "emphasis", "local")
    controls["edit_method"].input(
        edit.chosen, controls["edit_method"], [edit.about, *(controls[f"edit_{name}"] for name in shown)], **_LIGHT
    )
    sounds = {name: one for name, one in edit.inputs.items() if name != "edit_mask"}  # it would send the canvas
    tab.select(
        edit.selected,
        inputs_kwargs={
            **sounds,
            "prompt": edit.create.words.prompt,
            "touched": edit.touched,
            "followed": edit.followed,
        },
        outputs=[
            edit.sounds,
            *(controls[f"edit_{name}"] for name in ("prompt", "num_inference_steps", "guidance_scale")),
            edit.followed,
        ],
        **_LIGHT,
    )
    controls["edit_sound"].change(edit.sounds_used, inputs_kwargs=sounds, outputs=edit.sounds, **_LIGHT)
    controls["edit_prompt"].input(lambda: True, None, edit.touched, **_LIGHT)
