"""Listening: which part is heard, what is cached, what is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from studio.encoders.base import SoundEmbedding
from studio.errors import InputError
from studio.hearing import Hearing
from studio.recipe import Track
from studio.scene import prepare_sound
from studio.sound.clip import Clip
from studio.sound.write import write_wav
from tests.models import TinyEar, noise, tone


def test_open_fields_are_filled(tmp_path: Path) -> None:
    path = tmp_path / "ein Klang.wav"
    write_wav(tone(2.0), path)
    sound = prepare_sound(Track.of(path, gain=-6))
    assert sound.track.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (sound.track.name, sound.track.start, sound.track.duration) == ("ein Klang.wav", 0.0, 2.0)
    assert sound.seconds == pytest.approx(2.0)
    assert np.abs(sound.clip.samples).max() == pytest.approx(0.8 * 10 ** (-6 / 20), rel=0.01)


def test_the_loudest_ten_seconds_and_again() -> None:
    samples = 0.01 * noise(40.0, rate=8000).samples
    samples[:, 22 * 8000 : 30 * 8000] *= 50
    clip = Clip(samples, 8000, "long.wav")
    sound = prepare_sound(Track(), clip)
    assert sound.track.start is not None
    assert 20 <= sound.track.start <= 22
    assert (sound.track.duration, sound.seconds, sound.track.name) == (10.0, 40.0, "long.wav")
    again = prepare_sound(sound.track, clip)
    assert again.track == sound.track
    assert again.clip.samples.tobytes() == sound.clip.samples.tobytes()


def test_a_given_clip_replaces_the_file() -> None:
    sound = prepare_sound(Track(path="/nowhere.wav", name="old name", start=0.25, duration=0.5), tone())
    assert sound.clip.seconds == pytest.approx(0.5)
    assert sound.track.name == "old name"


@pytest.mark.parametrize(
    ("track", "clip", "said"),
    [
        (Track(), None, "The recipe names no sound. Give a recording"),
        (Track(name="rain.ogg"), None, "'rain.ogg' is not on this machine"),
        (Track(path="/nowhere/rain.ogg"), None, "rain.ogg"),
        (Track(start=5), tone(1.0), "tone.wav"),
        (Track(start=0, duration=5), tone(1.0), "tone.wav"),
        (Track(), Clip(np.zeros((1, 8000), dtype=np.float32), 8000, "quiet.wav"), "quiet.wav"),
        (Track(gain=-60), tone(1.0), "tone.wav"),
    ],
)
def test_what_is_refused(track: Track, clip: Clip | None, said: str) -> None:
    with pytest.raises(InputError) as caught:
        prepare_sound(track, clip)
    assert said in str(caught.value)


def test_gain_rescues_a_faint_sound() -> None:
    faint = Clip(0.001 * tone().samples, 16_000, "faint.wav")
    with pytest.raises(InputError):
        prepare_sound(Track(), faint)
    prepare_sound(Track(gain=30), faint)


def test_a_sound_is_heard_once(tiny_plugins: None, monkeypatch: pytest.MonkeyPatch) -> None:
    listened: list[int] = []
    encode = TinyEar.encode

    def counted(self: TinyEar, clips: Sequence[Clip]) -> SoundEmbedding:
        listened.append(len(clips))
        return encode(self, clips)

    monkeypatch.setattr(TinyEar, "encode", counted)
    hearing = Hearing()
    first, heard = hearing.listen(prepare_sound(Track(), tone()), "tiny-ear")
    again, _ = hearing.listen(prepare_sound(Track(name="the same under another name"), tone()), "tiny-ear")
    assert first is again
    assert listened == [1]
    louder, _ = hearing.listen(prepare_sound(Track(gain=3), tone()), "tiny-ear")
    assert listened == [1, 1]
    assert not np.array_equal(louder.pooled, first.pooled)
    assert sum(probability for _, probability in heard.labels) == pytest.approx(1)
    assert [probability for _, probability in heard.labels] == sorted((p for _, p in heard.labels), reverse=True)
    assert heard.window == (0.0, 1.0)


def test_an_unknown_ear_names_the_known_ones(tiny_plugins: None) -> None:
    with pytest.raises(InputError, match=r"There is no encoder called 'nose'.*tiny-ear"):
        Hearing().listen(prepare_sound(Track(), tone()), "nose")
