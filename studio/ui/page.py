"""The page: its head with the model's chip, its tabs, its endpoint for programs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from studio.ui import language, status, words
from studio.ui.api import build_api
from studio.ui.create import CREATE_ID, build_create_tab
from studio.ui.edit_arrivals import wire_arrivals
from studio.ui.edit_tab import EDIT_ID, build_edit_tab
from studio.ui.gallery_tab import GALLERY_ID, build_gallery_tab
from studio.ui.journey_tab import JOURNEY_ID, build_journey_tab
from studio.ui.live_tab import LIVE_ID, build_live_tab
from studio.ui.service import Model, Service
from studio.ui.settings_tab import SETTINGS_ID, build_settings_tab, build_stored

_KEEP = (3600, 86_400)  # every hour, forget uploads and previews older than a day; finished pictures are not there
_MARK = (
    '<svg viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="8"/>'
    '<path d="M6.5 14v4M11 10v12M16 6v20M20.5 11v10M25 14v4"/></svg>'
)


def build_page(service: Service) -> gr.Blocks:
    """All of the app as Gradio blocks, not launched."""
    demo: gr.Blocks
    with gr.Blocks(title=words.TITLE, analytics_enabled=False, delete_cache=_KEEP) as demo:
        with gr.Row(elem_id="head"):
            gr.HTML(f"{_MARK}<div><h1>{words.TITLE}</h1><p>{words.TAGLINE}</p></div>", elem_id="brand")
            chip = gr.HTML(status.chip(service.condition), elem_id="model")
            theme = gr.Button("\N{CIRCLE WITH LEFT HALF BLACK}", size="sm", elem_id="theme", min_width=44, scale=0)
        theme.click(None, None, None, js="() => { window.hearsight.toggleTheme(); return []; }")
        stored = build_stored()
        with gr.Tabs(selected=CREATE_ID, elem_id="tabs") as tabs:
            with gr.Tab(words.CREATE, id=CREATE_ID, elem_id="create_tab"):
                create = build_create_tab(service, demo)
            with gr.Tab(words.EDIT, id=EDIT_ID, elem_id="edit_tab") as edit:
                edit_tab = build_edit_tab(create, edit)
            with gr.Tab(words.JOURNEY, id=JOURNEY_ID, elem_id="journey_tab") as journey:
                build_journey_tab(create, journey)
            with gr.Tab(words.LIVE, id=LIVE_ID, elem_id="live_tab"):
                build_live_tab(service, create, demo)
            with gr.Tab(words.GALLERY, id=GALLERY_ID, elem_id="gallery_tab") as gallery:
                wire_arrivals(edit_tab, build_gallery_tab(create, tabs, gallery), tabs)
            with gr.Tab(words.SETTINGS, id=SETTINGS_ID, elem_id="settings_tab") as settings:
                build_settings_tab(create, stored, settings, demo)
        language.mark(demo.blocks.values())
        build_api(service)
        _follow_model(service, chip, demo)
    demo.queue(max_size=60, default_concurrency_limit=4)
    return demo


def _follow_model(service: Service, chip: gr.HTML, demo: gr.Blocks) -> None:
    """Load the model once the page is drawn, which loading would hold up; keep the chip true, then rest."""
    demo.load(
        service.warm_up,
        js="() => window.hearsight.drawn()",
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    timer = gr.Timer(1.0)

    def tick() -> tuple[str, Any]:
        condition = service.condition
        settled = condition.model in (Model.READY, Model.FAILED)
        return status.chip(condition), gr.Timer(3.0 if settled else 1.0, active=condition.model is not Model.READY)

    timer.tick(tick, None, [chip, timer], queue=False, show_progress="hidden", api_visibility="private")
