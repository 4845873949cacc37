"""The page in other languages: everything is said, with the same places to fill in, and nothing stays English."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from gradio.context import LocalContext

from studio.ui import build, language, status, words
from studio.ui.language import Language, english, languages, of_browser, shown_texts, translated
from studio.ui.service import Service

LANGUAGES = sorted(languages().values(), key=lambda one: one.code)
# Names, signs, file names that are written, and an example of a prompt, which is English in every language.
SAME = {
    *("TITLE", "STAR", "JOURNEY_ARROW", "DAY_PLACEHOLDER", "RECORD_NAME", "SCENE_FILE", "LIVE_SOUND"),
    *("JOURNEY_GIF", "EDIT_SOURCE_EXAMPLE", "PHRASES_EXAMPLE"),
}
MAY_BE_EQUAL = SAME | {
    *("SOLO", "LIVE", "MODEL", "MONO", "STEREO", "FACT_MONO", "FACT_STEREO", "LIVE_PROMPT", "PROMPT", "SEED"),
    *(
        "SETTINGS_ADAPTER",
        "JOURNEY_MP4",
        "JOURNEY_FILM",
        "EDIT_VARIATION",
        "EDIT_PHOTO_IS",
        "ABOUT_SEED",
        "SETTINGS_PICTURES_ARE",
    ),
}
LETTERS = re.compile(r"[A-Za-z]{2,}")
each = pytest.mark.parametrize("one", LANGUAGES, ids=lambda one: one.code)


@pytest.fixture(scope="module")
def page() -> list[str]:
    """Every text that stands on the page at its beginning, without what the endpoints for programs are called."""
    service = Service()
    blocks = build(service).blocks.values()
    return list(dict.fromkeys(text for text in shown_texts(blocks) if text in language._page))


def test_german_japanese_turkish() -> None:
    assert [(one.code, one.name) for one in LANGUAGES] == [("de", "Deutsch"), ("ja", "日本語"), ("tr", "Türkçe")]


@each
def test_every_word_is_said(one: Language) -> None:
    wanted = {name for name in english() if name not in SAME}
    assert set(one.words) - SAME == wanted
    assert all(text.strip() for text in (*one.words.values(), *one.shown.values()))


@each
def test_places_to_fill_in_and_html_are_alike(one: Language) -> None:
    for name, text in one.words.items():
        for form in (r"\{\w+\}", r"</?\w+>"):
            assert sorted(re.findall(form, text)) == sorted(re.findall(form, english()[name])), name


@each
def test_no_word_is_left_english(one: Language) -> None:
    same = {name for name, text in one.words.items() if text == english()[name] and LETTERS.search(text)}
    assert same <= MAY_BE_EQUAL


@each
def test_one_english_text_is_one_text(one: Language) -> None:
    """The browser knows the English text only: two words that are alike in English must be alike everywhere."""
    by_text: dict[str, set[str]] = {}
    for name, text in english().items():
        by_text.setdefault(text, set()).add(one.words.get(name, text))
    assert {text: said for text, said in by_text.items() if len(said) > 1} == {}


@each
def test_nothing_on_the_page_is_left_english(one: Language, page: list[str]) -> None:
    names = {"English", "Deutsch", "日本語", "Türkçe", *(english()[name] for name in SAME)}
    equal = {english()[name] for name in MAY_BE_EQUAL if name in english()}
    left = []
    for text in page:
        bare = [part.strip() for part in re.split(r"<[^>]*>", text)]
        after = [part.strip() for part in re.split(r"<[^>]*>", translated(text, one))]
        keep = (
            {part for part in bare if not LETTERS.search(part)} | names | equal | set(re.findall(r"<kbd>(.*?)<", text))
        )
        left += [part for part in bare if part in after and part not in keep]
    # The starter's author and licence are names.
    assert [text for text in left if not re.search(r"CC0|CC BY", text)] == []


def test_no_value_of_a_control_is_a_text_that_is_translated(page: list[str]) -> None:
    """Gradio's browser side would translate it too, and send the wrong value."""
    keys = {key for texts in language.labels().values() for key in texts}
    found = {}
    for block in build(Service()).blocks.values():
        value = getattr(block, "value", None)
        if block.get_block_name() in ("radio", "dropdown", "textbox", "slider") and isinstance(value, str):
            found[getattr(block, "elem_id", "")] = value
        for choice in getattr(block, "choices", None) or ():
            found[f"{getattr(block, 'elem_id', '')} {choice[0]}"] = choice[1]
    assert {name: value for name, value in found.items() if value in keys} == {}


@pytest.mark.parametrize(
    ("accepted", "cookie", "code"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "", "de"),
        ("ja", "", "ja"),
        ("fr-FR,de;q=0.9", "", "en"),  # as gr.I18n: the first alone counts
        ("", "", "en"),
        ("de", "tr", "tr"),
        ("de", "en", "en"),
        ("de", "xx", "de"),
        ("../../etc", "../../etc", "en"),
    ],
)
def test_which_language(accepted: str, cookie: str, code: str) -> None:
    assert of_browser({"accept-language": accepted}, {language.COOKIE: cookie} if cookie else {}) == code


def test_inside_an_event_words_are_in_the_language_of_the_browser() -> None:
    assert words.MAKE == "Make picture"
    token = LocalContext.request.set(SimpleNamespace(headers={"accept-language": "de"}, cookies={}))  # type: ignore[arg-type]
    try:
        assert words.MAKE == "Bild machen"
        assert words.JOINS["mix"] == "Mischen"
        assert words.TITLE == "Hearsight"
        assert "Schritt 3 von 20" in status.drawing(3, 20, 0, 1, 1)
    finally:
        LocalContext.request.reset(token)
    assert words.JOINS["mix"] == "Mix"


def test_filled_in_words_and_html() -> None:
    german = languages()["de"]
    assert translated("Sound B", german) == "Klang B"
    assert translated("<h3>Sound B</h3>", german) == "<h3>Klang B</h3>"
    assert translated("<h2><span>1</span> Sound</h2>", german) == "<h2><span>1</span> Klang</h2>"
    assert translated('<b aria-label="Step 1 of 2">My own Sound</b>', german) == (
        '<b aria-label="Schritt 1 von 2">My own Sound</b>'
    )
    assert translated("my sound", german) == "my sound"


@pytest.mark.parametrize(
    ("cookie", "media", "told"),
    [
        ("hearsight-language=de", "text/html", "'de'"),
        ("hearsight-language=en", "text/html", "'en'"),
        ("hearsight-language=de", "application/json", None),
        ("hearsight-language=');alert(1)//", "text/html", None),
        ("", "text/html", None),
    ],
)
def test_a_chosen_language_is_told_to_the_page(cookie: str, media: str, told: str | None) -> None:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.testclient import TestClient

    from studio.ui.translation import middleware

    def page(request: Request) -> Response:
        return Response("<html><head><title>T</title></head></html>", media_type=media)

    client = TestClient(
        Starlette(routes=[Route("/", page)], middleware=[Middleware(kind) for kind, _, _ in middleware()])
    )
    answer = client.get("/", headers={"cookie": cookie} if cookie else {})
    assert int(answer.headers["content-length"]) == len(answer.content)
    if told:
        assert f"<head><script>Object.defineProperty(navigator, 'language', {{get: () => {told}}})" in answer.text
    else:
        assert answer.text == "<html><head><title>T</title></head></html>"
