"""What the gallery outlives: kill -9 while it saves, a damaged index, several processes at once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from studio.errors import HearsightError
from studio.library import index
from studio.library.entries import Wanted
from studio.library.gallery import Gallery
from studio.library.index import INDEX_FILE
from studio.library.png import read_recipe, save_png
from studio.recipe import Recipe, Track

ROOT = Path(__file__).resolve().parents[2]
IMAGE = Image.new("RGB", (16, 16), "teal")
RECIPE = Recipe(tracks=(Track(name="rain.ogg"),), seed=1)

SAVER = """
import sys
from PIL import Image
from studio.library.gallery import Gallery
from studio.recipe import Recipe
folder, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
gallery = Gallery(folder)
for seed in range(first, first + count):
    path = gallery.save(Image.effect_noise((64, 64), 50).convert("RGB"), Recipe(seed=seed))
    if seed % 5 == 0:
        gallery.set_favourite(path.name, True)
    print(path.name, flush=True)
"""


def saver(folder: Path, first: int, count: int) -> subprocess.Popen[str]:
    """A process that saves pictures in a loop and names each one that it holds to be finished."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SAVER, str(folder), str(first), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def listed(gallery: Gallery) -> set[str]:
    gallery.refresh()
    return {entry.name for entry in gallery.page(size=0).entries}


def test_kill_9_loses_no_finished_picture(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    finished: set[str] = set()
    for run in range(6):
        process = saver(tmp_path, first=1000 * run, count=1000)
        assert process.stdout is not None
        finished.add(process.stdout.readline().strip())
        time.sleep(0.05 + 0.037 * run)  # at another moment of the saving each time
        os.kill(process.pid, signal.SIGKILL)
        finished |= {line.strip() for line in process.stdout if line.endswith("\n")}
        process.wait()
        process.stdout.close()
        there = listed(gallery)
        assert finished <= there
        assert there == {path.name for path in tmp_path.glob("*.png")}
        for name in there:
            read_recipe(tmp_path / name)  # nothing half-written under a finished name
    assert len(finished) > 12
    marked = {entry.name for entry in gallery.page(Wanted(favourites=True), size=0).entries}
    # The last picture of a run may have been killed between its saving and its mark.
    assert {name for name in finished if int(name.split("-")[-1].removesuffix(".png")) % 5 == 0} <= marked
    assert not list(tmp_path.glob("*damaged*"))


def test_several_processes_save_and_list_at_once(tmp_path: Path) -> None:
    processes = [saver(tmp_path, first=100 * number, count=25) for number in range(3)]
    gallery = Gallery(tmp_path)
    while any(process.poll() is None for process in processes):
        listed(gallery)
        time.sleep(0.02)
    saved = [line for process in processes for line in (process.stdout or ())]
    for process in processes:
        assert process.stdout is not None
        process.stdout.close()
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(saved) == 75
    assert listed(gallery) == {name.strip() for name in saved}
    assert gallery.page(Wanted(favourites=True)).total == 15
    assert not list(tmp_path.glob("*damaged*"))


def test_threads_share_one_gallery(tmp_path: Path) -> None:
    gallery, mistakes = Gallery(tmp_path), list[Exception]()

    def work(number: int) -> None:
        try:
            for _ in range(5):
                name = gallery.save(IMAGE, RECIPE.replace(seed=number)).name
                gallery.set_favourite(name, True)
                gallery.refresh()
        except Exception as error:
            mistakes.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mistakes == []
    assert gallery.page(Wanted(favourites=True)).total == 20


def _overwrite(path: Path) -> None:
    path.write_bytes(b"I was a database once. " * 500)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _scratch(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


def _run(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "damage",
    [
        _overwrite,
        _cut,
        _scratch,
        lambda path: _run(path, "DROP TABLE pictures"),
        lambda path: _run(path, "PRAGMA user_version = 77"),
        lambda path: _run(path, "UPDATE pictures SET made = 'yesterday'"),
        lambda path: _run(path, "UPDATE pictures SET sounds = x'ff'"),
    ],
    ids=["overwritten", "cut", "scratched", "no table", "other version", "no date", "no text"],
)
def test_a_damaged_index_is_set_aside(tmp_path: Path, damage: object) -> None:
    gallery = Gallery(tmp_path)
    saved = {gallery.save(IMAGE, RECIPE.replace(seed=seed)).name for seed in range(30)}
    gallery.set_favourite(min(saved), True)
    path = tmp_path / INDEX_FILE
    damage(path)  # type: ignore[operator]
    content = path.read_bytes()
    page = Gallery(tmp_path).page(size=0)  # no refresh: whoever meets the damage repairs it
    assert {entry.name for entry in page.entries} == saved
    assert [entry.name for entry in page.entries if entry.favourite] == [min(saved)]
    (aside,) = tmp_path.glob(f"{INDEX_FILE}.damaged-*[0-9]")
    assert aside.read_bytes()[:64] == content[:64]
    assert listed(Gallery(tmp_path)) == saved
    gallery.save(IMAGE, RECIPE)
    assert len(listed(gallery)) == 31


def test_an_empty_index_is_a_new_one(tmp_path: Path) -> None:
    saved = Gallery(tmp_path).save(IMAGE, RECIPE).name
    (tmp_path / INDEX_FILE).write_bytes(b"")
    assert listed(Gallery(tmp_path)) == {saved}


def test_a_locked_index_is_a_sentence_and_costs_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "BUSY", 0.05)
    gallery = Gallery(tmp_path)
    gallery.save(IMAGE, RECIPE)
    other = sqlite3.connect(tmp_path / INDEX_FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    path = gallery.save(IMAGE, RECIPE)
    assert path.exists()
    assert len(gallery.page().entries) == 1
    with pytest.raises(HearsightError, match="busy with another process"):
        gallery.refresh()
    other.execute("ROLLBACK")
    other.close()
    assert path.name in listed(gallery)


def test_a_big_gallery_is_quick(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    first = save_png(IMAGE, RECIPE, tmp_path / "first.png")
    for number in range(2000):
        os.link(first, tmp_path / f"{number:04}.png")
    assert gallery.refresh() == 2001
    begun = time.monotonic()
    assert gallery.refresh() == 0
    assert gallery.page(Wanted(words="photo rain"), number=40).total == 2001
    assert time.monotonic() - begun < 2  # 0.03 s on an idle machine
