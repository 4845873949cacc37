"""The controls of the Edit tab as they are laid out, and what its canvas holds."""

from __future__ import annotations

from typing import Any

import gradio as gr
from PIL import Image, ImageChops, ImageOps

from studio.fields import Setting, settings
from studio.limits import limits
from studio.recipe import MAX_PROMPT, MAX_SEED, Edit, Recipe
from studio.ui import status, words
from studio.ui.fine_panel import model_defaults, span

CANVAS = 512  # px, of the photo's long side while it is painted on: a mask needs no more, and each stroke travels
PAINTED = 40  # of 255: alpha from which on a pixel counts as painted, also with a brush that lets the photo through


def opened_photo(path: str) -> tuple[Image.Image, str]:
    """A photo for the canvas, upright and `CANVAS` px long, and a line that says what it is.

    Raises InputError as `studio.editing.photo.read_photo`.
    """
    from studio.editing.photo import read_photo  # with torch, so never before the page is up

    photo = read_photo(path)
    wide, high = photo.image.size
    # Small photos are enlarged: the brush is as wide on every photo, and not a third of a small one.
    shown = ImageOps.contain(photo.image, (CANVAS, CANVAS), Image.Resampling.LANCZOS)
    said = words.EDIT_PHOTO_IS.format(name=photo.name, width=wide, height=high)
    return shown, " ".join([said, *photo.notes, *([words.EDIT_OURS] if photo.recipe else [])])


def mask_of(canvas: dict[str, Any] | None) -> Image.Image | None:
    """What is painted on the canvas, in any colour, as an L picture: white where the photo may change.

    canvas: a gr.ImageEditor's value with RGBA layers. None when nothing is painted.
    """
    painted: Image.Image | None = None
    for layer in (canvas or {}).get("layers") or []:
        alpha = layer.convert("RGBA").getchannel("A")
        if painted is not None and alpha.size != painted.size:
            alpha = alpha.resize(painted.size)
        painted = alpha if painted is None else ImageChops.lighter(painted, alpha)
    if painted is None:
        return None
    mask = painted.point([255 if level >= PAINTED else 0 for level in range(256)])
    return mask if mask.getbbox() else None


def build_controls(model: str) -> dict[str, Any]:
    """The left side: the photo, the sound, how it changes. Gives the fields of `EditTab` that are there."""
    controls: dict[str, Any] = {}
    with gr.Column(elem_classes="card"):
        photo_line = _build_photo(controls)
    with gr.Column(elem_classes="card"):
        gr.HTML(f"<h2><span>2</span> {words.EDIT_SOUND}</h2>", elem_classes="heading")
        sounds = gr.HTML("", elem_id="edit_sounds")  # said when the tab is opened
        controls["edit_sound_strength"] = _slider(
            settings(Recipe)["sound_strength"], words.SOUND_STRENGTH, words.EDIT_STRENGTH_INFO
        )
        with gr.Accordion(words.EDIT_OTHER, open=False, elem_id="edit_other"):
            controls["edit_sound"] = gr.File(
                label=words.EDIT_OTHER_FILE,
                file_types=["audio", "video"],
                type="filepath",
                height=120,
                elem_id="edit_sound",
            )
    with gr.Column(elem_classes="card"):
        about = _build_change(controls, model)
    return {"controls": controls, "photo_line": photo_line, "sounds": sounds, "about": about}


def _build_photo(controls: dict[str, Any]) -> gr.HTML:
    gr.HTML(f"<h2><span>1</span> {words.EDIT_PHOTO}</h2>", elem_classes="heading")
    # The file itself and not a gr.Image: the photo keeps its digest, its colour profile and its turn, and what cannot
    # be read is said in our words.
    controls["edit_photo"] = gr.File(
        label=words.EDIT_PHOTO_DROP, file_types=["image"], type="filepath", height=120, elem_id="edit_photo"
    )
    line = gr.HTML("", elem_id="edit_photo_line")
    controls["edit_mask"] = gr.ImageEditor(
        None,
        label=words.EDIT_MASK,
        type="pil",
        image_mode="RGBA",
        sources=(),
        transforms=(),
        layers=False,
        buttons=[],
        brush=gr.Brush(
            default_size=30,
            colors=[("#ffffff", 0.75), ("#7c3aed", 0.75)],  # white is hard to see on snow
            default_color=("#ffffff", 0.75),
            color_mode="fixed",
        ),
        eraser=gr.Eraser(default_size=30),
        format="png",
        canvas_size=(CANVAS, CANVAS),
        visible=False,
        elem_id="edit_mask",
    )
    return line


def _build_change(controls: dict[str, Any], model: str) -> gr.HTML:
    fields, look, like = settings(Edit), limits().within(settings(Recipe)), model_defaults(model)
    gr.HTML(f"<h2><span>3</span> {words.EDIT_HOW}</h2>", elem_classes="heading")
    controls["edit_method"] = gr.Radio(
        [(title, method) for method, title in words.EDIT_METHODS.items()],
        value=fields["method"].default,
        label=words.EDIT_HOW,
        show_label=False,
        container=False,
        elem_id="edit_method",
        elem_classes="chips",
    )
    about = gr.HTML(f'<p class="hint">{words.EDIT_ABOUT[fields["method"].default]}</p>', elem_id="edit_about")
    controls["edit_prompt"] = gr.Textbox(
        Recipe().prompt, label=words.PROMPT, lines=1, max_lines=4, max_length=MAX_PROMPT, elem_id="edit_prompt"
    )
    controls["edit_source_prompt"] = gr.Textbox(
        "",
        label=words.EDIT_SOURCE,
        info=words.EDIT_SOURCE_INFO,
        placeholder=words.EDIT_SOURCE_EXAMPLE,
        lines=1,
        max_lines=4,
        max_length=MAX_PROMPT,
        elem_id="edit_source_prompt",
    )
    with gr.Row():
        controls["edit_keep_layout"] = _slider(fields["keep_layout"], words.EDIT_LAYOUT, words.EDIT_LAYOUT_INFO)
        controls["edit_keep_detail"] = _slider(fields["keep_detail"], words.EDIT_DETAIL, words.EDIT_DETAIL_INFO)
    controls["edit_noise"] = _slider(fields["noise"], words.EDIT_NOISE, words.EDIT_NOISE_INFO, visible=False)
    controls["edit_emphasis"] = _slider(
        fields["emphasis"], words.EDIT_EMPHASIS, words.EDIT_EMPHASIS_INFO, visible=False
    )
    controls["edit_local"] = gr.Checkbox(False, label=words.EDIT_LOCAL, visible=False, elem_id="edit_local")
    with gr.Accordion(words.FINE, open=False, elem_id="edit_fine"):
        controls["edit_seed"] = gr.Textbox(
            "",
            label=words.SEED,
            placeholder=words.SEED_PLACEHOLDER,
            max_length=len(str(MAX_SEED)),
            elem_id="edit_seed",
        )
        controls["edit_variation"] = _slider(fields["variation"], words.EDIT_VARIATION, words.EDIT_VARIATION_INFO)
        with gr.Row():
            for name, label in (("num_inference_steps", words.STEPS), ("guidance_scale", words.GUIDANCE)):
                controls[f"edit_{name}"] = _slider(look[name], label, value=like.get(f"edit_{name}", like[name]))
    return about


def _slider(
    field: Setting, label: str, info: str | None = None, value: float | None = None, visible: bool = True
) -> gr.Slider:
    return gr.Slider(
        **span(field, field.default if value is None else value, visible=visible),
        step=field.step,
        label=label,
        info=info,
        elem_id=f"edit_{field.name}",
        min_width=210,
    )


def build_result() -> dict[str, Any]:
    """The right side: what is being painted, before and after, the buttons. Gives those fields of `EditTab`."""
    gr.HTML(f"<h2>{words.PICTURE_HEADING}</h2>", elem_classes="heading")
    slider = gr.ImageSlider(
        None,
        label=words.EDIT_SLIDER,
        format="png",
        interactive=False,
        buttons=["fullscreen"],
        max_height=520,
        visible=False,
        elem_id="edit_slider",
    )
    line = gr.HTML(status.note(words.EDIT_READY), elem_id="edit_status")
    with gr.Row(elem_id="edit_bar"):
        make = gr.Button(words.EDIT_MAKE, variant="primary", elem_id="edit_make", scale=4, min_width=120)
        stop = gr.Button(words.STOP, variant="stop", interactive=False, elem_id="edit_stop", scale=1, min_width=80)
    facts = gr.HTML("", elem_id="edit_facts")
    download = gr.DownloadButton(words.DOWNLOAD, size="md", interactive=False, elem_id="edit_download", min_width=110)
    with gr.Accordion(words.EDIT_AGAIN_TITLE, open=False, visible=False, elem_id="edit_again") as fold:
        again = gr.Image(
            None,
            show_label=False,
            label=words.EDIT_AGAIN_TITLE,
            interactive=False,
            buttons=[],
            alt_text=words.EDIT_AGAIN_ALT,
            elem_id="edit_again_picture",
        )
    with gr.Accordion(words.DROP, open=False, elem_id="edit_restore"):
        drop = gr.File(label=words.DROP_LABEL, file_types=[".png"], type="filepath", height=120, elem_id="edit_drop")
    return {
        "fold": fold,
        "again": again,
        "drop": drop,
        "slider": slider,
        "line": line,
        "make": make,
        "stop": stop,
        "facts": facts,
        "download": download,
    }
