"""The app: one page that turns sounds into pictures in the browser.

    demo = build()
    demo.launch(**launch_options())

Importing this package imports no gradio; `build` does, and neither imports torch before the page is up.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradio import Blocks

    from studio.ui.service import Service

HERE = Path(__file__).resolve().parent
MODEL = "HEARSIGHT_MODEL"  # the image model that the page begins with
UNSEEN_SECONDS = 10.0  # after this the model is loaded even if nobody has opened the page
MAX_FILE_SIZE = "50mb"  # an hour of speech as MP3, five minutes of CD-quality WAV


def stay_local() -> None:
    """Switch off every message that Gradio and the Hugging Face libraries would send; they read this at import."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # At its start Gradio asks its own page a question, which a proxy between this machine and the world cannot answer.
    for name in ("NO_PROXY", "no_proxy"):
        known = os.environ.get(name, "")
        if "127.0.0.1" not in known:
            os.environ[name] = ",".join(filter(None, (known, "127.0.0.1", "localhost")))


def build(service: Service | None = None) -> Blocks:
    """The page, ready for `launch(**launch_options())`.

    service: what the page works with; None = the embedded model and the user's own data folder.
    """
    stay_local()
    from studio.ui.page import build_page
    from studio.ui.service import Service as _Service

    return build_page(service or _Service())


def launch_options() -> dict[str, Any]:
    """Keyword arguments for `Blocks.launch`: local fonts, no share link, no run history, no traces in the browser."""
    stay_local()
    from studio.ui.hosting import hosting_options
    from studio.ui.theme import theme
    from studio.ui.translation import Labels, middleware

    return {
        "theme": theme(),
        "i18n": Labels(),
        "app_kwargs": {"middleware": middleware()},
        "css_paths": [HERE / "studio.css"],
        "head_paths": [HERE / "head.html"],
        "favicon_path": HERE / "icon.svg",
        "footer_links": ["api"],  # our own Settings tab has what Gradio's has, and is translated
        "share": False,
        "run_history": False,  # it would keep recordings of voices in the browser
        "enable_monitoring": False,  # it answers to everybody by default
        "show_error": False,  # True would show raw messages with paths of this machine
        "_frontend": False,  # not: ask for the page once, and give up when a busy machine needs 3 s for it
        "ssr_mode": False,
        "pwa": False,
        "max_file_size": MAX_FILE_SIZE,
        "state_session_capacity": 200,
        **hosting_options(),
    }


def serve(host: str | None = None, port: int | None = None, browser: bool = False) -> None:
    """Build the page, open it, and stay until Ctrl+C. The model warms up as soon as somebody sees the page.

    host: None = this machine only (on a Hugging Face Space: its own address).
    port: None = the first free one from 7860 on.  browser: open a browser window.
    Raises OSError when the port is taken.
    """
    stay_local()
    from studio.paths import data_home
    from studio.recipe import Recipe
    from studio.ui.hosting import keep_tidy, load_early, warn_if_open
    from studio.ui.service import Service

    # Uploads and previews go to a folder of ours: /tmp/gradio may belong to another user of this machine.
    os.environ.setdefault("GRADIO_TEMP_DIR", str(data_home() / "cache"))
    warn_if_open(host)
    service = Service(os.environ.get(MODEL) or Recipe().model)
    load_early(service)
    keep_tidy(service)
    demo = build(service)
    demo.launch(server_name=host, server_port=port, inbrowser=browser, prevent_thread_lock=True, **launch_options())
    # The first page asks for the model once it is drawn; before that, loading would only hold it up. Programs that use
    # the app without a page should not wait for the model either.
    unseen = threading.Timer(UNSEEN_SECONDS, service.warm_up)
    unseen.daemon = True
    unseen.start()
    demo.block_thread()
