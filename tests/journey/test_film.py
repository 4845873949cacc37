"""Films, GIFs and sheets as other programs read them."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from studio.errors import InputError
from studio.journey.film import read_settings, write_gif, write_mp4, write_sheet
from studio.journey.sheet import Sheet
from studio.sound.clip import Clip
from tests.models import tone

COLOURS = [(200, 30, 30), (30, 180, 40), (30, 40, 220), (230, 210, 40), (120, 30, 160)]


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(len(COLOURS))]
    for path, colour in zip(paths, COLOURS, strict=True):
        Image.new("RGB", (64, 48), colour).save(path)
    return paths


@pytest.mark.parametrize(("fps", "channels", "written"), [(1.0, 1, 1), (12.5, 2, 2), (30.0, 4, 1)])
def test_mp4(fps: float, channels: int, written: int, pictures: list[Path], tmp_path: Path) -> None:
    seconds = len(pictures) / fps
    sound = Clip(np.repeat(tone(seconds).samples, channels, axis=0), 16_000)
    write_mp4(tmp_path / "out.mp4", pictures, fps, sound, '{"about": 1}')
    with av.open(str(tmp_path / "out.mp4")) as film:
        assert film.metadata["comment"] == '{"about": 1}'
        video, audio = film.streams.video[0], film.streams.audio[0]
        assert video.average_rate == pytest.approx(fps)
        assert (audio.codec_context.name, audio.codec_context.channels) == ("aac", written)
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * len(COLOURS)
    for frame, colour in zip(frames, COLOURS, strict=True):
        assert np.abs(frame[24, 32].astype(int) - colour).max() < 20
    with av.open(str(tmp_path / "out.mp4")) as film:
        heard = sum(frame.samples for frame in film.decode(audio=0)) / 48_000
    assert heard == pytest.approx(seconds, abs=0.05)


def test_a_film_may_be_silent(pictures: list[Path], tmp_path: Path) -> None:
    write_mp4(tmp_path / "out.mp4", pictures, 8, None)
    with av.open(str(tmp_path / "out.mp4")) as film:
        assert [stream.type for stream in film.streams] == ["video"]


@pytest.mark.parametrize(("repeat", "fps"), [(True, 8.0), (False, 3.0)])
def test_gif(repeat: bool, fps: float, pictures: list[Path], tmp_path: Path) -> None:
    write_gif(tmp_path / "out.gif", pictures, fps, repeat, "about")
    with Image.open(tmp_path / "out.gif") as gif:
        assert gif.n_frames == len(COLOURS)  # type: ignore[attr-defined]  # animated formats have it
        assert gif.info.get("loop") == (0 if repeat else None)
        assert gif.info["comment"] == b"about"
        total = 0
        for number, colour in enumerate(COLOURS):
            gif.seek(number)
            total += gif.info["duration"]
            assert np.abs(np.array(gif.convert("RGB"))[24, 32].astype(int) - colour).max() < 8
    assert total == pytest.approx(1000 * len(COLOURS) / fps, abs=5)


def test_sheet(pictures: list[Path], tmp_path: Path) -> None:
    write_sheet(tmp_path / "sheet.png", pictures, ["a"] * 5, '{"a": 1}')
    assert read_settings(tmp_path / "sheet.png") == '{"a": 1}'
    with pytest.raises(InputError, match="carries no journey"):
        read_settings(pictures[0])


@pytest.mark.parametrize(("count", "size"), [(2, (64, 48)), (7, (48, 64)), (12, (64, 64)), (240, (64, 64))])
def test_every_picture_has_its_place(count: int, size: tuple[int, int]) -> None:
    sheet = Sheet(count, size, cell=32)
    for number in range(count):
        sheet.add(Image.new("RGB", size, (number, 255 - number, 77)), "a caption that is much too long")
    seen = {colour for _, colour in sheet.page.getcolors(1 << 20) or []}
    assert {(number, 255 - number, 77) for number in range(count)} <= seen


def test_a_failure_leaves_what_was_there(pictures: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    pictures[3].write_text("not a picture")
    for name in ("film.mp4", "film.gif", "film.png"):
        (folder / name).write_bytes(b"precious")
    with pytest.raises(OSError, match="cannot identify"):
        write_sheet(folder / "film.png", pictures, [""] * 5)
    with pytest.raises((OSError, InputError)):
        write_mp4(folder / "film.mp4", pictures, 8, None)
    with pytest.raises((OSError, InputError)):
        write_gif(folder / "film.gif", pictures, 8)
    assert sorted(path.name for path in folder.iterdir()) == ["film.gif", "film.mp4", "film.png"]
    assert {path.read_bytes() for path in folder.iterdir()} == {b"precious"}
