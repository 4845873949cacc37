"""The app without a browser: what it is made of, what it offers to programs, and that it keeps to itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest
from gradio_client import Client, handle_file  # type: ignore[import-untyped]
from gradio_client.exceptions import AppError  # type: ignore[import-untyped]
from PIL import Image

from studio.library.png import read_recipe
from studio.paths import assets_folder
from studio.sound.write import write_wav
from studio.ui import build, launch_options, stay_local
from studio.ui.service import Service
from tests.models import tone

IDS = {
    *("sound", "starters", "start", "duration", "gain", "clean_voice", "other", "template", "prompt", "add_word"),
    *(
        "pan",
        "room",
        "mute",
        "solo",
        "sound_b",
        "gain_h",
        "solo_h",
        "add_sound",
        "join",
        "balance",
        "weight_c",
        "match",
    ),
    *("listen", "scene_sound"),
    *("negative_prompt", "seed", "keep_seed", "num_inference_steps", "guidance_scale", "sound_strength"),
    *("width", "height", "count"),
    *("preview_every", "make", "stop", "picture", "status", "download", "variation", "reuse", "strip", "drop"),
    *("create_tab", "gallery_tab", "gallery_search", "gallery_since", "gallery_until", "gallery_favourites"),
    *("gallery_grid", "gallery_newer", "gallery_older", "gallery_picture", "gallery_reuse", "gallery_favourite"),
    *(
        "journey_tab",
        "journey_kind",
        "journey_files",
        "journey_prompt",
        "journey_frames",
        "journey_fps",
        "journey_make",
    ),
    *("edit_tab", "edit_photo", "edit_mask", "edit_sound", "edit_method", "edit_prompt", "edit_source_prompt"),
    *("edit_keep_layout", "edit_keep_detail", "edit_sound_strength", "edit_seed", "edit_make", "edit_stop"),
    *("edit_slider", "edit_status", "edit_download"),
    *("journey_stop", "journey_film", "journey_mp4", "journey_gif", "journey_png", "journey_zip", "journey_sheet"),
    *("gallery_download", "gallery_delete", "gallery_sure", "gallery_keep", "gallery_drop"),
}


@pytest.fixture(scope="module")
def client(url: str, home: Path) -> Client:
    return Client(url, verbose=False, download_files=str(home / "downloads"))


@pytest.fixture(scope="module")
def sound(home: Path) -> Path:
    path = home / "a tone.wav"
    write_wav(tone(), path)
    return path


def get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:
        return str(answer.read().decode("utf-8", "replace"))


def test_nothing_heavy_is_imported_before_the_page_is_up() -> None:
    program = (
        "import sys, studio.ui; assert 'gradio' not in sys.modules; studio.ui.build(); studio.ui.launch_options();"
        "heavy = {'torch', 'diffusers', 'transformers', 'torchaudio', 'scipy'}; print(sorted(heavy & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_page_holds_every_control_and_no_share_button(service: Service) -> None:
    config = build(service).get_config_file()
    ids = {component["props"].get("elem_id") for component in config["components"]}
    assert ids >= IDS
    assert '"share"' not in json.dumps([component["props"].get("buttons") for component in config["components"]])
    assert not config.get("analytics_enabled")


def test_a_sound_that_comes_while_the_ear_is_busy_is_heard_afterwards(service: Service) -> None:
    """Gradio forgets what is triggered while the same is still pending, unless it is told to keep the last one."""
    config = build(service).config
    heard = {one["id"] for one in config["components"] if str(one["props"].get("elem_id")).startswith("heard")}
    asking = [one for one in config["dependencies"] if one["outputs"] and set(one["outputs"]) <= heard]
    assert len(asking) >= 3 * len(heard)  # each track: a new sound, its part by the grips, its faders
    assert {one["trigger_mode"] for one in asking} == {"always_last"}


def test_launch_keeps_everything_here() -> None:
    options = launch_options()
    assert options["share"] is False
    assert options["run_history"] is False
    assert options["enable_monitoring"] is False
    assert options["show_error"] is False
    assert options["max_file_size"] == "50mb"
    assert "server_name" not in options  # this machine only, unless somebody asks for more
    assert "allowed_paths" not in options


def test_the_page_asks_no_proxy_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.delenv("no_proxy", raising=False)
    stay_local()
    stay_local()
    assert os.environ["NO_PROXY"] == "example.org,127.0.0.1,localhost"
    assert os.environ["no_proxy"] == "127.0.0.1,localhost"


def test_endpoints_for_programs(service: Service) -> None:
    endpoints = build(service).get_api_info()["named_endpoints"]
    assert set(endpoints) == {"/sound_to_image", "/sounds_to_image", "/hear", "/edit_photo", "/journey"}
    names = [one["parameter_name"] for one in endpoints["/sound_to_image"]["parameters"]]
    assert names[:4] == ["sound", "prompt", "negative_prompt", "seed"]
    required = [
        one["parameter_name"] for one in endpoints["/sound_to_image"]["parameters"] if not one["parameter_has_default"]
    ]
    assert required == ["sound"]
    inputs = [one for endpoint in endpoints.values() for one in endpoint["parameters"]]
    assert len(inputs) > 60
    untyped = [one["parameter_name"] for one in inputs if one["python_type"]["type"] in ("", "Any")]
    assert untyped == [], "gradio_client tells programs the type of every input"


def test_no_outside_host_is_named(url: str) -> None:
    page = get(url + "/")
    page = re.sub(r"<meta[^>]*>", "", page)  # links for search engines, never fetched
    for text in (page, get(url + "/theme.css"), get(url + "/config")):
        assert not re.search(r"fonts\.googleapis|gstatic|cdn\.|cdnjs|unpkg|jsdelivr|iframeResizer.*cloudflare", text)


@pytest.mark.parametrize("path", ["/gradio_api/runs", "/monitoring/summary", "/gradio_api/file=/etc/passwd"])
def test_nothing_else_is_served(url: str, path: str) -> None:
    with pytest.raises(HTTPError) as caught:
        get(url + path)
    assert caught.value.code in (403, 404)


def test_programs_get_a_picture_with_its_recipe(client: Client, sound: Path, service: Service) -> None:
    picture, recipe = client.predict(handle_file(str(sound)), seed=7, steps=3, api_name="/sound_to_image")
    again = client.predict(handle_file(str(sound)), seed=7, steps=3, api_name="/sound_to_image")[0]
    read = read_recipe(picture)
    assert (read.seed, read.num_inference_steps, read.prompt) == (7, 3, "a photo of A*")
    assert read.tracks[0].name == "a tone.wav"
    assert read.tracks[0].path is None
    assert recipe["seed"] == 7
    assert Image.open(picture).tobytes() == Image.open(again).tobytes()
    assert len(list(service.pictures.glob("*-7*.png"))) == 2
    assert str(sound.parent) not in json.dumps(recipe)


@pytest.mark.parametrize(
    ("name", "content"), [("text.wav", b"this is not a sound at all"), ("empty.wav", b"")], ids=["text", "empty"]
)
def test_programs_get_sentences(client: Client, home: Path, name: str, content: bytes) -> None:
    path = home / name
    path.write_bytes(content)
    with pytest.raises(AppError) as caught:
        client.predict(handle_file(str(path)), api_name="/sound_to_image")
    message = str(caught.value)
    assert name in message
    assert "/" not in message.replace("A*/", "")
    assert "Traceback" not in message


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"prompt": "a photo of a dog"}, "A*"),
        ({"seed": -4}, "seed"),
        ({"steps": 1000}, "1 to 100"),
        ({"width": 100}, "8"),
        ({"start": 900}, "900"),
    ],
)
def test_bad_values_are_named(client: Client, sound: Path, inputs: dict[str, object], says: str) -> None:
    with pytest.raises(AppError, match=re.escape(says)):
        client.predict(handle_file(str(sound)), api_name="/sound_to_image", **inputs)


def test_starters_are_good_sounds() -> None:
    from studio.ui.sounds import look, starters

    assert (assets_folder() / "sounds" / "credits.json").is_file()
    for starter in starters():
        facts = look(str(starter.path))
        assert facts.peak > -40
        assert starter.licence
        assert starter.author
