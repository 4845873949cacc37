"""Start Hearsight's page: `python app.py`. A Hugging Face Space runs this same file, without arguments."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from studio.errors import InputError
from studio.ui import serve
from studio.ui.hosting import MCP


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the page until Ctrl+C. Returns the exit code: 0 done, 2 an argument cannot be used."""
    parser = argparse.ArgumentParser(prog="app.py", description="Open Hearsight in the browser.")
    parser.add_argument("--port", type=int, help="port of the page (default: the first free one from 7860 on)")
    parser.add_argument(
        "--host", help="address to listen at (default: this machine only; 0.0.0.0 lets the whole network in)"
    )
    parser.add_argument(
        "--mcp", action="store_true", help="offer its functions as tools of the Model Context Protocol"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    options = parser.parse_args(argv)
    if options.mcp:
        os.environ[MCP] = "true"
    try:
        serve(options.host, options.port, browser=not options.no_browser and _has_screen())
    except OSError:  # Gradio's word for a port that is taken, and everybody's for an address that is not ours
        where = f"{options.host or '127.0.0.1'}, port {options.port or '7860 and after'}"
        print(f"The page cannot be served at {where}: choose another --port or --host.", file=sys.stderr)
        return 2
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    return 0


def _has_screen() -> bool:
    """Whether there is somebody in front of this machine: not on a Space, nor on a Linux server without a display."""
    if os.environ.get("SPACE_ID"):
        return False
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    sys.exit(main())
