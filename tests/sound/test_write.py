"""Files come back as they went, appear whole or not at all, and never wrap around."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.errors import HearsightError, InputError
from studio.sound.clip import Clip
from studio.sound.decode import read_clip
from studio.sound.write import soft_limit, write_ogg, write_wav
from tests.sound.helpers import clip_of

Tone = Callable[..., Clip]


@pytest.mark.parametrize(("subtype", "tolerance"), [("PCM_16", 5e-5), ("PCM_24", 5e-7), ("FLOAT", 0), ("DOUBLE", 0)])
def test_wav_round_trip(tmp_path: Path, tone: Tone, subtype: str, tolerance: float) -> None:
    clip = tone(1.7, 22_050, 3)
    write_wav(clip, tmp_path / "a.wav", subtype)
    read = read_clip(tmp_path / "a.wav")
    assert (read.rate, read.samples.shape) == (clip.rate, clip.samples.shape)
    np.testing.assert_allclose(read.samples, clip.samples, atol=tolerance, rtol=0)


def test_ogg_round_trip(tmp_path: Path, tone: Tone) -> None:
    clip = tone(2.5, 44_100, 2)
    write_ogg(clip, tmp_path / "ein Ton ☂.ogg")
    read = read_clip(tmp_path / "ein Ton ☂.ogg")
    assert (read.rate, read.samples.shape) == (clip.rate, clip.samples.shape)
    np.testing.assert_allclose(read.samples, clip.samples, atol=0.05)


def test_ogg_of_half_an_hour_does_not_crash(tmp_path: Path) -> None:
    """In one write libsndfile would overflow the stack with this."""
    write_ogg(clip_of(np.zeros((1, 1800 * 8000), np.float32), 8000), tmp_path / "long.ogg")
    assert soundfile.info(tmp_path / "long.ogg").frames == 1800 * 8000


def test_soft_rule() -> None:
    inside = np.linspace(-1, 1, 101, dtype=np.float32)[None]
    assert soft_limit(inside) is inside, "a clip that fits is written as it is"
    beyond = np.linspace(-3, 3, 6001, dtype=np.float32)[None]
    bent = soft_limit(beyond)
    knee = 10 ** (-1 / 20)
    below = np.abs(beyond) <= knee
    np.testing.assert_array_equal(bent[below], beyond[below])
    assert np.abs(bent).max() <= 1
    np.testing.assert_array_equal(bent, -bent[:, ::-1])
    slope = np.diff(bent[0]) / np.diff(beyond[0])
    assert slope.min() >= 0, "what was louder stays louder"
    assert np.abs(np.diff(slope)).max() < 0.02, "no corner, which would be heard as a buzz"


def test_files_of_whole_numbers_follow_the_soft_rule_and_floats_do_not(tmp_path: Path, tone: Tone) -> None:
    loud = tone(0.5, amplitude=2.0)
    write_wav(loud, tmp_path / "a.wav")
    read = read_clip(tmp_path / "a.wav").samples
    np.testing.assert_allclose(read, soft_limit(loud.samples), atol=5e-5)
    write_wav(loud, tmp_path / "a.wav", "FLOAT")
    np.testing.assert_array_equal(read_clip(tmp_path / "a.wav").samples, loud.samples)
    write_ogg(loud, tmp_path / "a.ogg")
    assert np.abs(read_clip(tmp_path / "a.ogg").samples).max() < 1.2


def test_replaces_and_leaves_nothing_beside(tmp_path: Path, tone: Tone) -> None:
    write_wav(tone(0.5), tmp_path / "a.wav")
    write_wav(tone(1.0), tmp_path / "a.wav")
    assert read_clip(tmp_path / "a.wav").seconds == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "a.wav").stat().st_mode & 0o777 == 0o666 & ~umask, "others may read it as usual"


def test_failure_keeps_what_was_there(tmp_path: Path, tone: Tone, monkeypatch: pytest.MonkeyPatch) -> None:
    write_wav(tone(0.5), tmp_path / "a.wav")
    before = (tmp_path / "a.wav").read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise soundfile.LibsndfileError(2)

    monkeypatch.setattr(soundfile.SoundFile, "write", fail)
    with pytest.raises(HearsightError, match=r'"a.wav" could not be written as WAV PCM_16 with 1 channels'):
        write_wav(tone(1.0), tmp_path / "a.wav")
    assert (tmp_path / "a.wav").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_bad_places_and_forms(tmp_path: Path, tone: Tone) -> None:
    (tmp_path / "file").write_text("x")
    for place, part in (
        ("none/a.wav", "choose another place"),
        ("file/a.wav", "choose another place"),
        (".", "folder"),
    ):
        with pytest.raises(InputError, match=part):
            write_wav(tone(), tmp_path / place)
    with pytest.raises(InputError, match=r"no subtype 'VORBIS': use one of .*PCM_16"):
        write_wav(tone(), tmp_path / "a.wav", "VORBIS")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
