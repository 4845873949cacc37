"""The menus of image models and adapters without a browser: what they list, what a host allows, switching."""

from __future__ import annotations

import gc
import shutil
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import huggingface_hub.constants
import pytest

from studio.engine import Engine
from studio.errors import HearsightError, InputError
from studio.library.png import read_recipe
from studio.limits import offered_models
from studio.recipe import Recipe, Track
from studio.sound.write import write_wav
from studio.ui import downloads, jobs, menus
from studio.ui.album import Album
from studio.ui.create import CreateTab, build_create_tab, read
from studio.ui.live import blank_recipe
from studio.ui.service import Service
from studio.ui.sounds import starters
from tests.models import tone
from tests.ui.test_desk import value
from tests.ui.test_parts import MISSING, VALUES

SD = "stable-diffusion-v1-5/stable-diffusion-v1-5"
TURBO = "stabilityai/sd-turbo"
HERE: Any = SimpleNamespace(headers={}, client=SimpleNamespace(host="127.0.0.1"), session_hash="page")
ELSEWHERE: Any = SimpleNamespace(headers={}, client=SimpleNamespace(host="192.168.0.7"), session_hash="page")
SPOKEN = {"adapter": "concepts", "concepts": "rain:0.700, river:0.300", "spoken": "rain:0.700, river:0.300"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[Path]:
    """A data folder with one image model of the user's own; the hub is out of reach and its cache empty."""
    folder = tmp_path_factory.mktemp("menus")
    shutil.copytree(tiny_folder, folder / "models" / "mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEARSIGHT_MODELS", str(folder))
        patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder / "hub"))
        patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        yield folder


@pytest.fixture(scope="module")
def tab(home: Path) -> CreateTab:
    """The Create tab of a page that was built."""
    with gr.Blocks() as demo:
        return build_create_tab(Service(home=home, make_engine=lambda: Engine("cpu")), demo)


def entries(updates: dict[Any, Any], menu: Any) -> dict[str, str]:
    """Title by name of what an update puts into a menu."""
    return {name: title for title, name in updates[menu].choices}


def test_what_is_here_comes_first(tab: CreateTab) -> None:
    panel = tab.models
    found = panel.opened("pocket", "auto", HERE)
    titles = entries(found, panel.model)
    assert list(titles)[:3] == ["pocket", "pocket-fast", "mine"]
    assert titles[SD] == "Stable Diffusion 1.5: 5.5 GB to download"
    assert "By itself it draws 256 px in 20 steps." in found[panel.line]
    assert list(entries(found, panel.adapter)) == ["auto", "concepts", "gated", "word"]
    assert found[panel.asking].visible is found[panel.phrases.box].visible is False


def test_what_does_not_fit_says_so(tab: CreateTab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARSIGHT_MEMORY_GIB", "4.5")
    panel = tab.models
    found = panel.chosen("stabilityai/stable-diffusion-xl-base-1.0", "word", HERE)
    large = "Stable Diffusion XL: 13.9 GB to download (too large for this machine now)"
    assert large in entries(found, panel.model).values()
    assert "only 4.5 GiB are free" in found[panel.line]
    assert list(entries(found, panel.adapter)) == ["auto", "concepts"] and found[panel.adapter].value == "auto"
    assert "Made for other models: gated, word." in found[panel.about]
    assert "It would work in parts" in panel.chosen(SD, "auto", HERE)[panel.line]


def test_a_model_that_is_chosen_brings_its_own_values(tab: CreateTab) -> None:
    fine = tab.fine.follow("mine")
    assert (fine[tab.fine.width], fine[tab.fine.num_inference_steps], fine[tab.fine.guidance_scale]) == (64, 4, 3.0)
    assert fine[tab.fine.negative_prompt] == "blurry"
    fine = tab.fine.follow(SD)
    assert (fine[tab.fine.width], fine[tab.fine.num_inference_steps]) == (512, 50)


@pytest.mark.parametrize(
    ("hosted", "given", "offered", "refused"),
    [
        (False, None, ("pocket", "mine", SD, "/any/folder"), ()),
        (True, None, ("pocket", "pocket-fast"), ("mine", SD, "/any/folder", "pocket+lora=/any/file.safetensors")),
        (True, "mine", ("pocket", "mine"), ("pocket-fast", SD)),
        (False, "pocket", ("pocket",), ("pocket-fast", "mine")),
    ],
)
def test_a_host_says_which_models_there_are(
    hosted: bool,
    given: str | None,
    offered: tuple[str, ...],
    refused: tuple[str, ...],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    if given is not None:
        monkeypatch.setenv("HEARSIGHT_OFFERED_MODELS", given)
    service = Service(home=home, hosted=hosted)
    assert all(service.offers(name) for name in offered)
    listed = {one.name for one in menus.models(service)}
    assert set(offered) - {"/any/folder"} <= listed and not set(refused) & listed
    for name in refused:
        with pytest.raises(InputError, match="is not offered here"):
            service.allowed(Recipe(model=name))
    live = blank_recipe(service)
    assert service.offers(live.model)


def test_a_stranger_names_no_adapters_folder(home: Path) -> None:
    service = Service(home=home, hosted=True)
    assert service.allowed(Recipe(adapter="gated")).adapter == "gated"
    with pytest.raises(InputError, match="The adapter folder is not offered here"):
        service.allowed(Recipe(adapter="/any/folder"))


def test_names_with_commas_between() -> None:
    assert offered_models({}) is None
    assert offered_models({"HEARSIGHT_OFFERED_MODELS": " pocket, owner/name ,"}) == ("pocket", "owner/name")


def test_nothing_is_fetched_without_a_yes(tab: CreateTab) -> None:
    panel, service = tab.models, tab.service
    with pytest.raises(InputError, match="is not on this machine yet: download it under Image model"):
        service.allowed(Recipe(model=SD))
    asked = panel.chosen(SD, "auto", HERE)
    assert asked[panel.asking].visible and "Download about 5.5 GB from huggingface.co?" in asked[panel.question]
    assert not panel.chosen(SD, "auto", ELSEWHERE)[panel.asking].visible
    refused = list(panel.fetched(SD, "auto", ELSEWHERE))
    assert len(refused) == 1 and "Only the person in front" in refused[0][panel.line]
    said = [one[panel.line] for one in panel.fetched(SD, "auto", HERE) if panel.line in one]
    assert "could not be downloaded" in said[-1] and "copy the model&#x27;s Diffusers folder" in said[-1]


def test_a_download_is_looked_on_at(
    tab: CreateTab, home: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the hub that writes its cache slowly."""
    cache = home / "hub" / f"models--{TURBO.replace('/', '--')}"

    def snapshot_download(name: str, local_files_only: bool = False, **options: Any) -> str:
        there = cache / "snapshots" / "aa"
        if not local_files_only:
            (cache / "blobs").mkdir(parents=True)
            for part in range(3):
                (cache / "blobs" / f"{part}.incomplete").write_bytes(bytes(2_000_000))
                time.sleep(0.06)
            shutil.copytree(tiny_folder, there)
        elif name != TURBO or not there.is_dir():
            raise huggingface_hub.errors.LocalEntryNotFoundError("nothing here")
        return str(there)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(downloads, "LOOK", 0.02)
    panel = tab.models
    moments = list(panel.fetched(TURBO, "auto", HERE))
    lines = [one[panel.line] for one in moments if panel.line in one]
    assert any("Downloading SD Turbo (few steps): 0.00 of about 5.2 GB" in line for line in lines)
    assert downloads.arrived(TURBO) == 6_000_000
    shown = moments[-2]
    assert entries(shown, panel.model)[TURBO] == "SD Turbo (few steps)" and not shown[panel.asking].visible
    assert tab.service.allowed(Recipe(model=TURBO)).model == TURBO


def test_phrases_of_the_ear_are_no_words_by_hand() -> None:
    recipe = read(VALUES | SPOKEN | {"top_k": 2, "temperature": 1.5}, "pocket", "concepts")
    assert (recipe.concepts, recipe.ear, recipe.top_k, recipe.temperature) == (None, None, 2, 1.5)
    assert read(VALUES | SPOKEN | {"concepts": "fire:1"}, "pocket", "concepts").concepts == "fire:1"
    assert read(VALUES | SPOKEN | {"concepts": " "}, "pocket", "concepts").concepts is None
    plain = read(VALUES | SPOKEN | {"adapter": "word", "concepts": "fire:1", "top_k": 2}, "pocket", "word")
    assert (plain.concepts, plain.top_k) == (None, 3)


def test_a_restored_word_is_used_until_what_makes_it_is_changed() -> None:
    carried = Recipe(
        tracks=(MISSING.track,), adapter="concepts", concepts=SPOKEN["concepts"], word="1x1:AACAPw==", seed=9
    )
    values = VALUES | SPOKEN | {"carried": carried, "sound": None, "facts": MISSING}
    assert read(values, "pocket", "concepts").word == carried.word
    by_hand = read(values | {"concepts": "fire:1"}, "pocket", "concepts")
    assert (by_hand.word, by_hand.concepts, by_hand.tracks[0].name) == (None, "fire:1", "rain.ogg")
    for change in ({"top_k": 5}, {"adapter": "word"}, {"image_model": "pocket-fast"}):
        now = values | change
        with pytest.raises(HearsightError, match="is not here any more"):
            read(now, now["image_model"], now["adapter"])


def test_the_words_are_shown_and_pictures_restore_the_menus(tab: CreateTab, home: Path) -> None:
    service = tab.service
    path = home / "tone.wav"
    write_wav(tone(), path)
    values = VALUES | {"sound": str(path), "facts": None, "image_model": "mine", "adapter": "auto", "width": 64}
    values |= {"height": 64, "num_inference_steps": 2, "visitor": None}
    shown = list(tab.listened_for_phrases(HERE, **values))[-1]
    phrases = tab.models.phrases
    assert ":" in shown[phrases.concepts] and shown[phrases.concepts] == shown[phrases.spoken]
    last = list(tab.made(HERE, **values | {"concepts": "sea:1, dog:0.5"}))[-2:]
    assert not any(phrases.spoken in one for one in last)
    picture = next(Album(service.pictures).folder.glob("*.png"))
    recipe = read_recipe(picture)
    assert (recipe.model, recipe.adapter, recipe.concepts) == ("mine", "concepts", "sea:1, dog:0.5")
    restored = tab.restored(recipe)
    assert restored[tab.models.model].value == "mine" and restored[tab.models.adapter].value == "concepts"
    assert restored[phrases.concepts] == restored[phrases.spoken] == "sea:1, dog:0.5"
    assert restored[phrases.box].visible and restored[tab.fine.width] == 64
    old = weakref.ref(service.engine(0)._models.backbone("mine"))  # type: ignore[union-attr]
    tab.models.chosen("pocket", "auto", HERE)
    for _ in range(100):
        gc.collect()
        if old() is None:
            break
        time.sleep(0.05)
    assert old() is None


def test_a_picture_restores_every_control(tab: CreateTab) -> None:
    """All that a recipe can say is on the controls again: read from them anew, it is the same recipe."""
    first, second = (one for one in starters()[:2])
    track = Track(name=first.name, sha256=first.sha256, start=0.5, duration=1.5, gain=-7.5, pan=-0.6, room="church")
    other = Track(
        name=second.name, sha256=second.sha256, start=1.0, duration=2.0, gain=3.0, pan=0.25, room="stairwell"
    )
    recipe = Recipe(
        tracks=(track.replace(solo=True), other.replace(mute=True, solo=True)),
        join="morph",
        weights=(0.3, 0.7),
        prompt="a house by A*",
        negative_prompt="people",
        seed=41,
        count=3,
        num_inference_steps=7,
        guidance_scale=2.5,
        sound_strength=1.75,
        width=192,
        height=136,
        model="mine",
        adapter="concepts",
        ear="pocket",
        top_k=5,
        temperature=1.25,
        concepts="sea:0.5, dog:0.25",
        preview_every=5,
    )
    inside = {
        "version",
        "model_sha256",
        "loudness",
        "shares",
        "parted",
        "word",
        "sound_tokens",
        "adapter_sha256",
        "versions",
        "edit",
    }
    same = {name for name in Recipe.model_fields if getattr(recipe, name) == getattr(Recipe(), name)}
    assert same <= inside, "a field that this test must set to another value than its default"
    updates = tab.restored(recipe)
    values = {name: one.value for name, one in tab.inputs.items()}
    values |= {name: value(updates[one]) for name, one in tab.inputs.items() if one in updates}
    again = read({**values, "carried": None, "spoken": ""}, values["image_model"], values["adapter"])
    for name in set(Recipe.model_fields) - inside - {"tracks", "ear"}:
        assert getattr(again, name) == getattr(recipe, name), name
    assert values["ear"] == recipe.ear
    assert [one.replace(path=None) for one in again.tracks] == list(recipe.tracks)


def test_another_model_is_said_to_be_loaded(tab: CreateTab, home: Path) -> None:
    service = tab.service
    path = home / "tone.wav"
    write_wav(tone(), path)
    recipe = Recipe(tracks=(Track.of(path),), model="mine", num_inference_steps=1, width=64, height=64, seed=1)
    moments = list(jobs.make(service, "page", Album(home), recipe))
    assert jobs.Loading("mine") in moments
    assert jobs.Loading("mine") not in list(jobs.make(service, "page", Album(home), recipe))
