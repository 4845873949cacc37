"""The fine controls, folded by default. Bounds, steps and help come from the recipe's own fields."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from studio.errors import InputError
from studio.fields import Setting, settings
from studio.limits import limits
from studio.paths import assets_folder
from studio.recipe import MAX_SEED, Recipe
from studio.ui import words

MOST_PICTURES = 4
MOST_PREVIEW = 10
ORDINARY = {"picture_size": 512, "num_inference_steps": 20, "guidance_scale": 7.5, "negative_prompt": ""}


def model_defaults(model: str) -> dict[str, Any]:
    """What a model likes: picture_size, num_inference_steps, (edit_)guidance_scale, negative_prompt.

    Nothing heavy is imported for a model that says so itself, as the embedded ones do: the page begins with one.
    """
    described = (Path(model) if Path(model).is_absolute() else assets_folder() / model) / "hearsight.json"
    own = json.loads(described.read_text(encoding="utf-8")) if described.is_file() else _known_defaults(model)
    like = {name: own.get(name, value) for name, value in ORDINARY.items()}
    like["picture_size"] = own.get("picture_size") or own.get("native_size", like["picture_size"])
    edits = own.get("edit_guidance_scale")
    return like | {"edit_guidance_scale": like["guidance_scale"] if edits is None else edits}


def _known_defaults(model: str) -> dict[str, Any]:
    """The same by a model's configs, empty where nothing is known of it."""
    from studio.backbones._shelf import model_named
    from studio.device import pick_device

    found = model_named(model, pick_device())
    return {} if found is None or found.lacks else found.defaults.model_dump()


@dataclass(frozen=True)
class FinePanel:
    """The controls by the recipe's names."""

    negative_prompt: gr.Textbox
    seed: gr.Textbox
    keep_seed: gr.Checkbox
    num_inference_steps: gr.Slider
    guidance_scale: gr.Slider
    sound_strength: gr.Slider
    width: gr.Slider
    height: gr.Slider
    count: gr.Slider
    preview_every: gr.Slider

    @property
    def inputs(self) -> dict[str, gr.components.Component]:
        """The controls by name, in the order of their declaration."""
        return dict(vars(self))

    def follow(self, model: str) -> dict[Any, Any]:
        """The updates after another image model was chosen: its own size, steps, guidance, and what to avoid."""
        like, most = model_defaults(model), limits()
        size = int(most.below("size", like["picture_size"]))
        return {
            self.negative_prompt: like["negative_prompt"],
            self.num_inference_steps: int(most.below("steps", like["num_inference_steps"])),
            self.guidance_scale: like["guidance_scale"],
            self.width: size,
            self.height: size,
        }

    def restore(self, recipe: Recipe) -> dict[Any, Any]:
        """The updates that show a recipe; its seed is kept, because that is what makes the picture again."""
        like = model_defaults(recipe.model)
        return {
            self.negative_prompt: _first(recipe.negative_prompt, like["negative_prompt"]),
            self.seed: "" if recipe.seed is None else str(recipe.seed),
            self.keep_seed: recipe.seed is not None,
            self.num_inference_steps: recipe.num_inference_steps or like["num_inference_steps"],
            self.guidance_scale: _first(recipe.guidance_scale, like["guidance_scale"]),
            self.sound_strength: recipe.sound_strength,
            self.width: recipe.width or like["picture_size"],
            self.height: recipe.height or like["picture_size"],
            self.count: min(recipe.count, MOST_PICTURES),
            self.preview_every: min(recipe.preview_every, MOST_PREVIEW),
        }


def build_fine_panel(model: str) -> FinePanel:
    """Lay the controls out inside the current Gradio block."""
    fields, like = limits().within(settings(Recipe)), model_defaults(model)
    with gr.Accordion(words.FINE, open=False, elem_id="fine"):
        negative_prompt = gr.Textbox(
            like["negative_prompt"],
            label=words.NEGATIVE_PROMPT,
            info=_help(fields["negative_prompt"]),
            lines=1,
            elem_id="negative_prompt",
        )
        seed = gr.Textbox(  # not a gr.Number, which turns "none yet" into 0
            "",
            label=words.SEED,
            info=_help(fields["seed"]),
            placeholder=words.SEED_PLACEHOLDER,
            max_length=len(str(MAX_SEED)),
            elem_id="seed",
        )
        keep_seed = gr.Checkbox(False, label=words.KEEP_SEED, elem_id="keep_seed")
        with gr.Row():
            steps = _slider(fields["num_inference_steps"], words.STEPS, like["num_inference_steps"])
            guidance = _slider(fields["guidance_scale"], words.GUIDANCE, like["guidance_scale"])
            strength = _slider(fields["sound_strength"], words.SOUND_STRENGTH, fields["sound_strength"].default)
        with gr.Row():
            width = _slider(fields["width"], words.WIDTH, like["picture_size"])
            height = _slider(fields["height"], words.HEIGHT, like["picture_size"])
        with gr.Row():
            count = _slider(fields["count"], words.COUNT, 1, MOST_PICTURES)
            preview = _slider(fields["preview_every"], words.PREVIEW, fields["preview_every"].default, MOST_PREVIEW)
    kept = (negative_prompt, seed, keep_seed, steps, guidance, strength)
    return FinePanel(*kept, width, height, count, preview)


def seed_of(text: str) -> int | None:
    """The seed somebody wrote, None when nothing. Raises InputError for anything but a whole number."""
    text = text.strip()
    if not text:
        return None
    if not text.isdecimal():
        raise InputError(words.NO_SEED.format(text=text, most=MAX_SEED))
    return int(text)


def span(setting: Setting, value: float, maximum: float | None = None, visible: bool = True) -> dict[str, Any]:
    """Keyword arguments of a slider for a setting: its bounds, and a value inside them.

    A limit may leave one value only. Such a slider, which Gradio does not know, is not shown.
    """
    low, high = setting.minimum or 0, setting.maximum or 100
    most = min(high, maximum or high)
    choice = most > low
    return {
        "minimum": low,
        "maximum": most if choice else low + (setting.step or 1),
        "value": min(value, most) if choice else low,
        "visible": visible and choice,
    }


def _slider(setting: Setting, label: str, value: float, maximum: float | None = None) -> gr.Slider:
    return gr.Slider(
        **span(setting, value, maximum),
        step=setting.step,
        label=label,
        info=_help(setting) if " " in setting.help.split(";")[0] else None,  # not "Width." once more
        elem_id=setting.name,
        min_width=210,
    )


def _help(setting: Setting) -> str:
    """The field's help without its words about an empty value: a slider is never empty."""
    return setting.help.split("; empty")[0].rstrip(".") + "."


def _first(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value
