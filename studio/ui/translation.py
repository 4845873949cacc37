"""The page's labels as Gradio wants them, in the browser's language or the one chosen in the Settings tab."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import gradio as gr

from studio.ui import language

_HEAD = b"<head>"
_COOKIE = re.compile(rf"(?:^|;\s*){language.COOKIE}=(\w+)")


class Labels(gr.I18n):
    """Translations of every text that the page was built with, for the browser's side.

    The texts are known when the page is built, which may be after `launch_options` was asked for.
    """

    @property
    def translations_dict(self) -> dict[str, dict[str, str]]:
        """Language -> English text -> text."""
        return language.labels()


class ChosenLanguage:
    """ASGI: a page whose cookie names a language tells Gradio's browser side that the browser speaks it.

    Gradio asks the browser alone, and asks before any script of ours runs, so that one line goes in front of it.
    """

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        chosen = _chosen(scope["headers"]) if scope["type"] == "http" else None
        if chosen is None:
            await self._app(scope, receive, send)
            return
        line = f"<script>Object.defineProperty(navigator, 'language', {{get: () => '{chosen}'}})</script>".encode()
        page = False

        async def with_line(message: dict[str, Any]) -> None:
            nonlocal page
            if message["type"] == "http.response.start":
                headers = {name.lower(): value for name, value in message["headers"]}
                page = headers.get(b"content-type", b"").startswith(b"text/html")
                if page and b"content-length" in headers:
                    length = str(int(headers[b"content-length"]) + len(line)).encode()
                    others = [(name, value) for name, value in message["headers"] if name.lower() != b"content-length"]
                    message = {**message, "headers": [*others, (b"content-length", length)]}
            elif message["type"] == "http.response.body" and page and message.get("body"):
                body = message["body"]
                # Gradio's page comes in one piece; without a head the line goes to its end, for the length.
                body = body.replace(_HEAD, _HEAD + line, 1) if _HEAD in body else body + line
                page, message = False, {**message, "body": body}
            await send(message)

        await self._app(scope, receive, with_line)


def middleware() -> list[tuple[type[ChosenLanguage], tuple[()], dict[str, Any]]]:
    """For the `app_kwargs` of `launch`: class, arguments, keyword arguments, as Starlette unpacks them."""
    return [(ChosenLanguage, (), {})]


def _chosen(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The language that a cookie names, one of ours or None: nothing else of a cookie reaches a page."""
    for name, value in headers:
        if name == b"cookie":
            found = _COOKIE.search(value.decode("latin-1"))
            code = found[1] if found else ""
            return code if code in (language.ENGLISH, *language.languages()) else None
    return None
