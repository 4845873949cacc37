"""`hearsight app`: the page in the browser."""

from __future__ import annotations

import argparse
import os

from studio.cli import COMMANDS
from studio.cli.base import Command
from studio.errors import InputError


@COMMANDS.register("app")
class App(Command):
    """Start the app."""

    summary = "start the app, a page in the browser"
    details = (
        "The page is served to this machine only, unless --host says otherwise. Everything stays on this machine.\n"
        "End it with Ctrl+C.\n"
        "It asks for a name and a password when HEARSIGHT_USER and HEARSIGHT_PASSWORD are set in the environment."
    )
    examples = """
        hearsight app
        hearsight app --port 8000 --open
        hearsight app --host 0.0.0.0
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Where the page is served."""
        parser.add_argument("--host", metavar="ADDRESS", help="whom to serve; default: 127.0.0.1, this machine only")
        parser.add_argument("--port", metavar="N", type=_port, help="default: the first free one from 7860 on")
        parser.add_argument("--open", action="store_true", help="also open a browser window")
        parser.add_argument(
            "--mcp",
            action="store_true",
            help="also offer its functions as tools of the Model Context Protocol (pip install 'hearsight[mcp]')",
        )

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Serve until Ctrl+C."""
        from studio.ui import serve
        from studio.ui.hosting import MCP

        if arguments.mcp:
            os.environ[MCP] = "true"
        try:
            serve(arguments.host, arguments.port, browser=arguments.open)
        except OSError as error:
            where = f"{arguments.host or '127.0.0.1'}, port {arguments.port or '7860 and after'}"
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise InputError(f"The page cannot be served at {where} ({reason}): choose another --port.") from error
        return 0


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise InputError(f"--port must be a whole number from 1 to 65535, but {text!r} was given.")
    return int(text)
