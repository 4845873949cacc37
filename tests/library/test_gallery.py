"""The gallery: the pictures are the truth, the index is found again from them, names stay inside the folder."""

from __future__ import annotations

import os
import shutil
from datetime import date, datetime
from pathlib import Path

import pytest
from PIL import Image

from studio.errors import HearsightError, InputError
from studio.library import gallery as module
from studio.library.entries import Wanted, day, entry_of
from studio.library.gallery import FAVOURITES_FILE, Gallery, export
from studio.library.index import INDEX_FILE
from studio.library.png import read_picture, save_png
from studio.recipe import Recipe, Track

IMAGE = Image.new("RGB", (64, 48), (90, 40, 160))
RAIN = Recipe(tracks=(Track(name="Regen_100%.wav"),), prompt="a photo of A*", seed=7)
DOG = Recipe(tracks=(Track(name="my dög.ogg"),), prompt="A Street in the style of A*", seed=8)
SEA = Recipe(prompt="a painting of A* by the sea", seed=9)


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    return Gallery(tmp_path / "pictures")


@pytest.fixture
def names(gallery: Gallery) -> list[str]:
    """Three saved pictures: rain on 1 August, dog on 2 August, sea on 31 August 2026."""
    saved = []
    for recipe, when in (
        (RAIN, "20260801-000000-000000"),
        (DOG, "20260802-235959-999999"),
        (SEA, "20260831-120000-5"),
    ):
        heard = (("sea_waves", 0.75), ("rain", 0.2)) if recipe is SEA else ()
        saved.append(save_png(IMAGE, recipe, gallery.folder / f"{when.ljust(22, '0')}-{recipe.seed}.png", heard).name)
    assert gallery.refresh() == 3
    return saved


def listed(gallery: Gallery, **wanted: object) -> list[str]:
    return [entry.name for entry in gallery.page(Wanted(**wanted), size=0).entries]  # type: ignore[arg-type]


def test_a_saved_picture_is_listed_with_all_it_carries(gallery: Gallery) -> None:
    before = datetime.now()
    path = gallery.save(IMAGE, RAIN, [("rain", 0.91234), ("dog", 0.05)])
    (entry,) = gallery.page().entries
    assert (entry.name, entry.prompt, entry.sounds, entry.seed) == (path.name, RAIN.prompt, ("Regen_100%.wav",), 7)
    assert (entry.model, entry.width, entry.height, entry.favourite) == ("pocket", 64, 48, False)
    assert entry.heard == (("rain", 0.9123), ("dog", 0.05))
    assert before <= entry.made <= datetime.now()
    assert read_picture(path) == (RAIN, entry.heard)
    assert gallery.refresh() == 0  # what saving wrote is what adopting would write
    (gallery.folder / INDEX_FILE).unlink()
    again = Gallery(gallery.folder)
    assert again.refresh() == 1
    assert again.page().entries == [entry]


def test_every_sound_of_a_recipe_is_named(gallery: Gallery) -> None:
    class Several:
        """Stands for recipes with more tracks than today's may have."""

        tracks = tuple(Track(name=f"{number}.wav") for number in range(8))
        prompt, seed, model = "A*", 1, "pocket"

    path = save_png(IMAGE, RAIN, gallery.folder / "a.png")
    entry = entry_of(path.name, 0, Several(), (), path)  # type: ignore[arg-type]
    assert entry.sounds == tuple(f"{number}.wav" for number in range(8))


def test_newest_first_in_pages(gallery: Gallery) -> None:
    saved = [gallery.save(IMAGE, RAIN.replace(seed=number)).name for number in range(5)]
    assert listed(gallery) == saved[::-1]
    pages = [gallery.page(number=number, size=2) for number in (1, 2, 3)]
    assert [[entry.name for entry in page.entries] for page in pages] == [saved[:2:-1], saved[2:0:-1], saved[:1]]
    assert {(page.total, page.pages) for page in pages} == {(5, 3)}
    assert (gallery.page(number=99, size=2).number, gallery.page(number=-3, size=2).number) == (3, 1)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, "sea dog rain"),
        ({"words": "photo"}, "rain"),
        ({"words": "STREET style"}, "dog"),
        ({"words": "street sea"}, ""),
        ({"words": "dög"}, "dog"),
        ({"words": "DO\u0308G"}, "dog"),  # two signs for one letter
        ({"words": "waves"}, "sea"),
        ({"words": "rain"}, "sea"),  # heard, though the file is called Regen
        ({"words": "A*"}, "sea dog rain"),
        ({"words": "%"}, "rain"),
        ({"words": "_"}, "rain"),
        ({"words": "100%"}, "rain"),
        ({"words": "\\"}, ""),
        ({"words": "' OR 1=1 --"}, ""),
        ({"words": "nul\0l \ud800"}, ""),
        ({"words": "x" * 60_000}, ""),
        ({"words": "a " * 5_000}, "sea dog rain"),
        ({"sound": "regen"}, "rain"),
        ({"sound": "MY DÖG"}, "dog"),
        ({"sound": "photo"}, ""),
        ({"since": date(2026, 8, 2)}, "sea dog"),
        ({"until": date(2026, 8, 2)}, "dog rain"),
        ({"since": date(2026, 8, 1), "until": date(2026, 8, 1)}, "rain"),
        ({"since": date.max}, ""),
        ({"until": date.max, "since": date.min}, "sea dog rain"),
        ({"favourites": True}, ""),
    ],
)
def test_search(gallery: Gallery, names: list[str], wanted: dict[str, object], found: str) -> None:
    by_name = dict(zip(("rain", "dog", "sea"), names, strict=True))
    assert listed(gallery, **wanted) == [by_name[one] for one in found.split()]


def test_days() -> None:
    assert day(" 2026-08-31 ", "The day") == date(2026, 8, 31)
    for text in ("", "31.8.2026", "2026-02-30", "2026-8-31T00:00", "today"):
        with pytest.raises(InputError, match="The day must be a day such as"):
            day(text, "The day")
    with pytest.raises(InputError, match="swap them"):
        Wanted(since=date(2026, 2, 1), until=date(2026, 1, 1))


def test_the_folder_is_the_truth(gallery: Gallery, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (gallery.folder / names[1]).unlink()
    save_png(IMAGE, SEA, gallery.folder / "from elsewhere ♪.PNG")
    IMAGE.save(gallery.folder / "no recipe.png")
    (gallery.folder / "damaged.png").write_bytes(b"\x89PNG")
    (gallery.folder / "folder.png").mkdir()
    (gallery.folder / ".hidden.png").write_bytes((gallery.folder / names[0]).read_bytes())
    (gallery.folder / "link.png").symlink_to(gallery.folder / names[0])
    assert gallery.refresh() == 4  # one gone, one adopted, two that carry no recipe
    assert sorted(listed(gallery)) == sorted([names[0], names[2], "from elsewhere ♪.PNG"])
    save_png(IMAGE, SEA, gallery.folder / "no recipe.png")  # now it has one
    assert gallery.refresh() == 1

    def never(path: Path) -> None:
        raise AssertionError(f"{path} is read again though nothing changed")

    monkeypatch.setattr(module, "read_picture", never)
    assert gallery.refresh() == 0
    monkeypatch.setattr(module, "__version__", "99.0")  # a newer program may read what this one could not
    with pytest.raises(AssertionError, match=r"damaged\.png"):
        gallery.refresh()


def test_leftovers_of_killed_processes_go_after_an_hour(gallery: Gallery) -> None:
    path = gallery.save(IMAGE, RAIN)
    old, new = (gallery.folder / f".{path.name}.{number}.part" for number in (1, 2))
    for part in (old, new):
        part.touch()
    os.utime(old, (0, 0))
    gallery.refresh()
    assert (old.exists(), new.exists()) == (False, True)


def test_favourites_survive_the_index(gallery: Gallery, names: list[str]) -> None:
    assert gallery.set_favourite(names[0], True)
    assert gallery.set_favourite(names[2], True)
    assert gallery.set_favourite(names[2], False)
    assert listed(gallery, favourites=True) == [names[0]]
    (gallery.folder / INDEX_FILE).unlink()
    again = Gallery(gallery.folder)
    again.refresh()
    assert listed(again, favourites=True) == [names[0]]
    assert not gallery.set_favourite("nothing.png", True)
    for content in ("[", "{}", "[1, null]"):
        (gallery.folder / FAVOURITES_FILE).write_text(content)
        (gallery.folder / INDEX_FILE).unlink()
        gallery.refresh()
        assert len(listed(gallery)) == 3
        assert listed(gallery, favourites=True) == []


def test_delete(gallery: Gallery, names: list[str]) -> None:
    gallery.set_favourite(names[0], True)
    small = gallery.thumbnail(names[0])
    assert small is not None and small.exists()
    assert gallery.delete(names[0])
    assert not gallery.delete(names[0])
    assert not small.exists() and not (gallery.folder / names[0]).exists()
    assert (gallery.folder / FAVOURITES_FILE).read_text() == "[]"
    assert listed(gallery) == [names[2], names[1]]
    assert gallery.refresh() == 0


@pytest.mark.parametrize(
    "name",
    [
        *("../secret.png", "..\\secret.png", "/etc/secret.png", "sub/secret.png", "..", "", ".", "secret.txt"),
        *("link.png", ".hidden.png", "a\0.png", "x" * 300 + ".png", "\udcff.png", "unknown.png", "C:secret.png/"),
    ],
)
def test_names_cannot_leave_the_folder(gallery: Gallery, names: list[str], name: str) -> None:
    secret = save_png(IMAGE, RAIN, gallery.folder.parent / "secret.png")
    save_png(IMAGE, RAIN, gallery.folder / "sub" / "secret.png")
    (gallery.folder / "link.png").symlink_to(secret)
    shutil.copy(secret, gallery.folder / ".hidden.png")
    gallery.refresh()
    assert gallery.get(name) is None
    assert gallery.find(name) is None
    assert not gallery.delete(name)
    assert not gallery.set_favourite(name, True)
    if name not in ("link.png", "unknown.png"):
        assert gallery.thumbnail(name) is None
    assert secret.exists() and (gallery.folder / "sub" / "secret.png").exists()


def test_a_folder_that_is_not_there_is_not_made(gallery: Gallery) -> None:
    assert gallery.refresh() == 0
    assert gallery.page().entries == []
    assert (gallery.page().number, gallery.page().pages) == (1, 1)
    assert gallery.get("a.png") is None
    assert not gallery.folder.exists()
    gallery.save(IMAGE, RAIN)
    assert len(gallery.page().entries) == 1


def test_thumbnails_are_small_and_follow_the_picture(gallery: Gallery) -> None:
    path = save_png(Image.new("RGB", (1024, 512), "red"), RAIN, gallery.folder / ("x" * 240 + ".png"))
    small = gallery.thumbnail(path.name)
    assert small is not None
    with Image.open(small) as image:
        assert (image.format, image.size) == ("JPEG", (256, 128))
    made = small.stat().st_mtime_ns
    assert gallery.thumbnail(path.name) == small
    assert small.stat().st_mtime_ns == made
    save_png(IMAGE, RAIN, path)
    os.utime(small, (1, 1))
    assert gallery.thumbnail(path.name) == small
    with Image.open(small) as image:
        assert image.size == (64, 48)
    path.unlink()
    assert gallery.thumbnail(path.name) is None


def test_a_place_that_cannot_be_written_can_still_be_read(gallery: Gallery, names: list[str]) -> None:
    (gallery.folder / INDEX_FILE).unlink()
    (gallery.folder / INDEX_FILE).mkdir()  # also for root, whom no permission stops
    (gallery.folder / INDEX_FILE / "file").touch()
    (gallery.folder / FAVOURITES_FILE).mkdir()
    other = Gallery(gallery.folder)
    assert listed(other) == names[::-1]
    assert other.refresh() == 0
    with pytest.raises(HearsightError, match="favourites cannot be written"):
        other.set_favourite(names[0], True)
    assert listed(other, favourites=True) == []
    assert other.save(IMAGE, SEA).exists()
    assert len(listed(other)) == 4


def test_export(gallery: Gallery, names: list[str], tmp_path: Path) -> None:
    source, folder = gallery.folder / names[0], tmp_path / "new" / "folder"
    assert export(source, folder) == folder / names[0] == export(source, folder)
    assert (folder / names[0]).read_bytes() == source.read_bytes()
    (folder / names[1]).write_bytes(b"mine")
    with pytest.raises(InputError, match="is there already and differs"):
        export(gallery.folder / names[1], folder)
    assert (folder / names[1]).read_bytes() == b"mine"
    with pytest.raises(InputError, match="cannot be written"):
        export(source, folder / names[1])
    assert sorted(path.name for path in folder.iterdir()) == sorted(names[:2])
