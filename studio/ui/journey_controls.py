"""The controls of the Journey tab, laid out: the way and the look on the left, the film on the right."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from studio.errors import HearsightError
from studio.fields import Setting, settings
from studio.journey.settings import Journey
from studio.limits import limits
from studio.recipe import MAX_PROMPT, MAX_SEED, Recipe
from studio.ui import status, words
from studio.ui.fine_panel import model_defaults, span
from studio.ui.journey_delete import build_deleting


def length_line(frames: Any, fps: Any, playback: Any) -> str:
    """How long the film will be, as HTML."""
    try:
        journey = Journey(frames=frames, fps=fps, playback=playback)
    except HearsightError as error:
        return f'<p class="hint">{escape(str(error))}</p>'
    seconds = len(journey.order(journey.frames)) / journey.fps
    return f'<p class="hint" role="status">{words.JOURNEY_LENGTH.format(seconds=status.length(seconds))}</p>'


def build_way(controls: dict[str, Any]) -> tuple[gr.HTML, gr.HTML]:
    """Which way is gone, and with which sounds; adds to `controls`. Gives the lines that say so."""
    fields = settings(Journey)
    gr.HTML(f"<h2><span>1</span> {words.JOURNEY_WAY}</h2>", elem_classes="heading")
    controls["journey_kind"] = gr.Radio(
        [(title, kind) for kind, title in words.JOURNEY_KINDS.items()],
        value="volume",
        label=words.JOURNEY_WAY,
        show_label=False,
        container=False,
        elem_id="journey_kind",
        elem_classes="chips",
    )
    about = gr.HTML(f'<p class="hint">{words.JOURNEY_ABOUT["volume"]}</p>')
    with gr.Row():
        controls["journey_from_db"] = _slider(fields["from_db"], words.JOURNEY_FROM, "from_db", 1)
        controls["journey_to_db"] = _slider(fields["to_db"], words.JOURNEY_TO, "to_db", 1)
    with gr.Row():
        controls["journey_duration"] = _slider(
            fields["duration"], words.JOURNEY_WINDOW, "duration", 0.5, words.JOURNEY_WINDOW_INFO, visible=False
        )
        controls["journey_hop"] = gr.Textbox(  # not a gr.Number, which turns "none" into 0
            "",
            label=words.JOURNEY_HOP,
            info=words.JOURNEY_HOP_INFO,
            placeholder=words.JOURNEY_HOP_PLACEHOLDER,
            max_lines=1,
            max_length=12,
            visible=False,
            elem_id="journey_hop",
        )
    sounds = gr.HTML("", elem_id="journey_sounds")  # said when the tab is opened
    with gr.Accordion(words.JOURNEY_OTHER, open=False, elem_id="journey_other"):
        controls["journey_files"] = gr.File(
            label=words.JOURNEY_FILES,
            file_count="multiple",
            file_types=["audio", "video"],
            type="filepath",
            height=140,
            allow_reordering=True,
            elem_id="journey_files",
        )
    return sounds, about


def build_look(controls: dict[str, Any], model: str) -> gr.HTML:
    """Prompt, length, size and steps; adds to `controls`. Gives the line that says how long the film will be."""
    fields, look, like = limits().within(settings(Journey)), limits().within(settings(Recipe)), model_defaults(model)
    gr.HTML(f"<h2><span>2</span> {words.JOURNEY_LOOK}</h2>", elem_classes="heading")
    controls["journey_prompt"] = gr.Textbox(
        Recipe().prompt, label=words.PROMPT, lines=1, max_lines=4, max_length=MAX_PROMPT, elem_id="journey_prompt"
    )
    with gr.Row():
        controls["journey_frames"] = _slider(fields["frames"], words.JOURNEY_FRAMES, "frames")
        controls["journey_fps"] = _slider(fields["fps"], words.JOURNEY_FPS, "fps")
    controls["journey_playback"] = gr.Radio(
        [(title, name) for name, title in words.JOURNEY_PLAYBACKS.items()],
        value=fields["playback"].default,
        label=words.JOURNEY_PLAYBACK,
        show_label=False,
        container=False,
        elem_id="journey_playback",
        elem_classes="chips",
    )
    default = Journey(frames=fields["frames"].default)
    length = gr.HTML(length_line(default.frames, default.fps, default.playback), elem_id="journey_length")
    with gr.Accordion(words.FINE, open=False, elem_id="journey_fine"):
        controls["journey_seed"] = gr.Textbox(
            "",
            label=words.SEED,
            info=words.JOURNEY_SEED_INFO,
            placeholder=words.SEED_PLACEHOLDER,
            max_length=len(str(MAX_SEED)),
            elem_id="journey_seed",
        )
        with gr.Row():
            size = like["picture_size"]
            controls["journey_width"] = _slider(look["width"], words.WIDTH, "width", value=size)
            controls["journey_height"] = _slider(look["height"], words.HEIGHT, "height", value=size)
        with gr.Row():
            steps = like["num_inference_steps"]
            controls["journey_steps"] = _slider(look["num_inference_steps"], words.STEPS, "steps", value=steps)
            controls["journey_smoothing"] = _slider(
                fields["smoothing"], words.JOURNEY_SMOOTHING, "smoothing", info=words.JOURNEY_SMOOTHING_INFO
            )
        gr.HTML(f'<p class="hint">{words.JOURNEY_FINE_NOTE}</p>')
    return length


def _slider(
    field: Setting,
    label: str,
    name: str,
    step: float | None = None,
    info: str | None = None,
    value: float | None = None,
    visible: bool = True,
) -> gr.Slider:
    return gr.Slider(
        **span(field, field.default if value is None else value, visible=visible),
        step=step or field.step,
        label=label,
        info=info,
        elem_id=f"journey_{name}",
        min_width=210,
    )


def build_result() -> dict[str, Any]:
    """The right side: the picture being made, the film, the buttons. Gives those fields of `JourneyTab`."""
    gr.HTML(f"<h2>{words.JOURNEY_FILM}</h2>", elem_classes="heading")
    picture = gr.Image(
        None,
        label=words.JOURNEY_PICTURE,
        show_label=False,
        format="jpeg",
        interactive=False,
        buttons=[],
        visible=False,
        alt_text=words.JOURNEY_PICTURE,
        elem_id="journey_picture",
    )
    film = gr.Video(
        None,
        label=words.JOURNEY_FILM,
        show_label=False,
        interactive=False,
        loop=True,
        buttons=[],
        visible=False,
        elem_id="journey_film",
    )
    line = gr.HTML(status.note(words.JOURNEY_READY), elem_id="journey_status")
    with gr.Row(elem_id="journey_bar"):
        make = gr.Button(words.JOURNEY_MAKE, variant="primary", elem_id="journey_make", scale=4, min_width=120)
        stop = gr.Button(words.STOP, variant="stop", interactive=False, elem_id="journey_stop", scale=1, min_width=80)
    facts = gr.HTML("", elem_id="journey_facts")
    with gr.Row(visible=False, elem_id="journey_actions") as actions:
        names = {
            "mp4": words.JOURNEY_MP4,
            "gif": words.JOURNEY_GIF,
            "png": words.JOURNEY_PNG,
            "zip": words.JOURNEY_ZIP,
        }
        downloads = {
            name: gr.DownloadButton(label, size="md", elem_id=f"journey_{name}", min_width=110)
            for name, label in names.items()
        }
    deleting = build_deleting()
    sheet = gr.Image(
        None,
        label=words.JOURNEY_SHEET,
        show_label=False,
        format="jpeg",  # while it grows; the finished one is handed over as the PNG file it is
        interactive=False,
        buttons=["fullscreen"],
        visible=False,
        elem_id="journey_sheet",
    )
    return {
        "picture": picture,
        "film": film,
        "line": line,
        "make": make,
        "stop": stop,
        "facts": facts,
        "actions": actions,
        "sheet": sheet,
        "deleting": deleting,
        **downloads,
    }
