"""The page's languages: one JSON file each in `languages/`, beside the English of `words.py`.

Labels that stand on the page from the beginning are translated in the browser, by `gr.I18n`: its keys are the English
texts themselves, so nothing that lays the page out knows about languages. What is said later, by the handler of an
event, is translated here: inside an event `words.MAKE` is the word in the language of the browser that asked.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape, unescape
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(__file__).resolve().parent / "languages"
ENGLISH = "en"
COOKIE = "hearsight-language"  # what was chosen in the Settings tab; head.html writes it
LETTER = re.compile(r"[^\W\d_]")
_TAG = re.compile(r"(<[^>]*>)")
_SPOKEN_ATTRIBUTE = re.compile(r'(aria-label|title)=(["\'])(.*?)\2')


@dataclass(frozen=True)
class Language:
    """One language. name: what it calls itself.

    words: by the names of `words.py`, entries of its dictionaries as NAME.key.  shown: by their English, texts of the
    page that come from elsewhere: help of a recipe's fields, titles of templates and of starter sounds.
    """

    code: str
    name: str
    words: Mapping[str, str]
    shown: Mapping[str, str]


@cache
def languages() -> dict[str, Language]:
    """All languages but English by their codes ("de"), read once."""
    found = {}
    for path in sorted(FOLDER.glob("*.json")):
        read = json.loads(path.read_text(encoding="utf-8"))
        found[path.stem] = Language(path.stem, read["name"], read["words"], read["shown"])
    return found


def english() -> dict[str, str]:
    """Every English word of the page by its name; entries of dictionaries as NAME.key."""
    found: dict[str, str] = {}
    for name, value in vars(sys.modules["studio.ui.words"]).items():
        if name.isupper() and isinstance(value, str):
            found[name] = value
        elif name.isupper() and isinstance(value, dict):
            found |= {f"{name}.{key}": text for key, text in value.items()}
    return found


def of_browser(headers: Mapping[str, str], cookies: Mapping[str, str]) -> str:
    """The language of a request: the chosen one, else the first that the browser asks for, as gr.I18n does; or en."""
    accepted = headers.get("accept-language", "").split(",")[0].split(";")[0].strip()
    for wish in (cookies.get(COOKIE, ""), accepted):
        code = wish.split("-")[0].lower()
        if code in languages() or code == ENGLISH:
            return code
    return ENGLISH


def current() -> str:
    """The language of the event that is being handled; en while the page is built, and outside of it."""
    context = sys.modules.get("gradio.context")
    request = context.LocalContext.request.get(None) if context is not None else None
    headers = getattr(request, "headers", None)
    return of_browser(headers, getattr(request, "cookies", None) or {}) if headers else ENGLISH


class Words(ModuleType):
    """A module whose constants in capitals are said in the current language."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if not name.isupper() or (code := current()) == ENGLISH:
            return value
        known = languages()[code].words
        if isinstance(value, dict):
            return {key: known.get(f"{name}.{key}", text) for key, text in value.items()}
        return known.get(name, value)


def translated(text: str, language: Language) -> str:
    """An English text of the page in another language: a word, a filled-in one ("Sound B"), or HTML that holds words.

    What is not known stays as it is.
    """
    if "<" not in text:
        return _plain(text, language)
    for name, word in english().items():  # words that hold HTML themselves
        if "<" in word:
            text = text.replace(word, language.words.get(name, word))
    parts = (_tag(part, language) if part.startswith("<") else _node(part, language) for part in _TAG.split(text))
    return "".join(parts)


def _node(text: str, language: Language) -> str:
    """The text between two tags, with the space around it."""
    bare = text.strip()
    return text.replace(bare, escape(_plain(unescape(bare), language), quote=False)) if bare else text


def _tag(tag: str, language: Language) -> str:
    def said(match: re.Match[str]) -> str:
        name, mark, text = match.groups()
        return f"{name}={mark}{escape(_plain(unescape(text), language))}{mark}"

    return _SPOKEN_ATTRIBUTE.sub(said, tag)


def _plain(text: str, language: Language) -> str:
    if text in language.shown:
        return language.shown[text]
    exact, forms = _english_texts()
    if text in exact:
        return language.words.get(exact[text], text)
    for name, form in forms:
        if match := form.fullmatch(text):
            return language.words.get(name, english()[name]).format(**match.groupdict())
    return text


@cache
def _english_texts() -> tuple[dict[str, str], list[tuple[str, re.Pattern[str]]]]:
    """Name by text, and the forms with places to fill in, those that say most first."""
    exact: dict[str, str] = {}
    forms: list[tuple[str, re.Pattern[str]]] = []
    for name, text in english().items():
        if "{" not in text:
            exact.setdefault(text, name)
            continue
        pieces = re.split(r"\{(\w+)\}", text)
        if sum(map(len, pieces[::2])) >= 4:  # else it would fit anything
            fields = (f"(?P<{piece}>.+?)" if index % 2 else re.escape(piece) for index, piece in enumerate(pieces))
            forms.append((name, re.compile("".join(fields))))
    return exact, sorted(forms, key=lambda form: -len(english()[form[0]]))


_MARK = "__i18n__"  # how Gradio's browser side knows a text that it must translate; what follows is JSON
_page: dict[str, None] = {}  # every text of the pages that were built, in their order


def mark(blocks: Iterable[Any]) -> None:
    """Let Gradio's browser side translate the texts of a page, by `labels`.

    The key of a text is its English: until the browser has its dictionary, and where there is none, English is shown.
    Names of choices are looked up without a mark.
    """
    for block in blocks:
        for name, text in _texts(block):
            _page.setdefault(text)
            if "}" not in text:  # where Gradio looks for the end of the mark
                setattr(block, name, _MARK + json.dumps({"__type__": "translation_metadata", "key": text}))
        _page.update(dict.fromkeys(_choices(block)))


def shown_texts(blocks: Iterable[Any]) -> Iterator[str]:
    """The English of everything that `mark` found on a page."""
    for block in blocks:
        for _, text in _texts(block):
            yield json.loads(text.removeprefix(_MARK))["key"] if text.startswith(_MARK) else text
        yield from _choices(block)


def _texts(block: Any) -> Iterator[tuple[str, str]]:
    """Name and value of the properties that hold a text of a component."""
    spoken = ["label", "info", "placeholder"]
    if block.get_block_name() in ("html", "button", "downloadbutton"):
        spoken.append("value")
    for name in spoken:
        text = getattr(block, name, None)
        if isinstance(text, str) and LETTER.search(text) and "data:image" not in text:  # not a sound's drawing
            yield name, text


def _choices(block: Any) -> Iterator[str]:
    for choice in getattr(block, "choices", None) or ():
        if isinstance(choice, tuple | list) and isinstance(choice[0], str) and LETTER.search(choice[0]):
            yield choice[0]


def labels() -> dict[str, dict[str, str]]:
    """The translations for gr.I18n: language -> English text of the page -> the text in that language."""
    found: dict[str, dict[str, str]] = {ENGLISH: {}}
    for code, language in languages().items():
        said = ((text, translated(text, language)) for text in _page)
        found[code] = {text: other for text, other in said if other != text}
    return found
