"""Serving others: who may come in, whether the app's functions are tools for programs (MCP), how many at once.

Everything is set by environment variables, because a command line can be read by everybody on the machine.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from studio.errors import InputError
from studio.limits import limits

if TYPE_CHECKING:
    from studio.ui.service import Service

USER, PASSWORD, MCP = "HEARSIGHT_USER", "HEARSIGHT_PASSWORD", "GRADIO_MCP_SERVER"
LOCAL = ("127.0.0.1", "localhost", "::1")
_THREADS = 40  # Gradio's own number
_SPARE = 20  # threads for everything that does not wait in the line


def sign_in() -> tuple[str, str] | None:
    """The name and the password that the page and its endpoints ask for; None = nobody is asked.

    Raises InputError when only one of the two variables is set: a forgotten one must not open the door.
    """
    user, password = os.environ.get(USER, ""), os.environ.get(PASSWORD, "")
    if bool(user) != bool(password):
        here, missing = (USER, PASSWORD) if user else (PASSWORD, USER)
        raise InputError(f"{here} is set, but {missing} is not: set both to ask for them, or neither.")
    return (user, password) if user else None


def mcp_wanted() -> bool:
    """Whether the endpoints are offered as tools of the Model Context Protocol: when GRADIO_MCP_SERVER is "true".

    Raises InputError when the package for it is missing, and beside a sign-in, which Gradio does not ask for there.
    """
    if os.environ.get(MCP, "").strip().lower() not in ("true", "1"):
        return False
    if find_spec("mcp") is None:
        raise InputError(
            "Tools for MCP need the package mcp, which is not here: pip install 'hearsight[mcp]' (in a checkout: "
            f"pip install -e '.[mcp]'), or start without --mcp and {MCP}."
        )
    if sign_in() is not None:
        raise InputError(
            f"MCP would let everybody in without the password of {PASSWORD}: use one of the two, not both."
        )
    return True


def hosting_options() -> dict[str, Any]:
    """Keyword arguments for `Blocks.launch` that say who may come in and how many are served."""
    waiting = limits().waiting
    return {
        "auth": sign_in(),
        "mcp_server": mcp_wanted(),
        # A program that waits in the line holds a thread; what is quick must find one all the same.
        "max_threads": max(_THREADS, _SPARE + (waiting or 0)),
    }


def on_zero_gpu() -> bool:
    """Whether this is a ZeroGPU Space, with the package that lends its card."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true") and find_spec("spaces") is not None


def load_early(service: Service) -> None:
    """On a ZeroGPU Space load the model here and now, on the main thread and before the page is launched.

    The package for it must come before torch, stands in for the card on its own thread only, and hands what was loaded
    on to the processes that paint. Elsewhere nothing is done.
    """
    if on_zero_gpu():
        importlib.import_module("spaces")
        service.load()


def keep_tidy(service: Service) -> None:
    """Where strangers share the app, delete their files after some days (HEARSIGHT_KEEP_DAYS)."""
    if service.hosted:
        from studio.ui import keeping

        keeping.start(service.pictures.parent)


def warn_if_open(host: str | None) -> None:
    """Say on the terminal that others can come in without being asked, where that is so and not on a Space.

    host: as for `serve`. Raises InputError when a limit or the sign-in is set to something that cannot be.
    """
    limits()
    where = host or os.environ.get("GRADIO_SERVER_NAME") or LOCAL[0]
    if where not in LOCAL and not os.environ.get("SPACE_ID") and sign_in() is None:
        print(
            f"Everybody who can reach this machine can use the page, and sees all its pictures. Set {USER} and "
            f"{PASSWORD} to be asked for them first.",
            file=sys.stderr,
            flush=True,
        )
