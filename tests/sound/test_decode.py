"""Every format a person may bring, and every way in which a file can be wrong."""

from __future__ import annotations

import builtins
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from studio.errors import InputError
from studio.sound import decode
from studio.sound.clip import Clip
from studio.sound.decode import SOUND_SUFFIXES, decodable, read_clip
from studio.sound.loudness import refuse_silence
from tests.sound.helpers import clip_of

Tone = Callable[..., Clip]
Encode = Callable[..., Path]


def save(path: Path, clip: Clip, subtype: str | None = None, form: str | None = None) -> Path:
    form = form or {".aif": "AIFF"}.get(path.suffix)
    soundfile.write(path, clip.samples.T, clip.rate, subtype=subtype, format=form)
    return path


def wav_header(channels: int, rate: int, data: bytes, bits: int = 16) -> bytes:
    """A WAV file of whole numbers with whatever header is wanted."""
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", 1, channels, rate, rate * block, block, bits)
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


# ----------------------------------------------------------------------------------------- what must be readable


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_U8", 0.01),
        ("a.wav", "PCM_16", 1e-4),
        ("a.wav", "PCM_24", 1e-6),
        ("a.wav", "PCM_32", 1e-6),
        ("a.wav", "FLOAT", 0),
        ("a.wav", "DOUBLE", 0),
        ("a.wav", "ULAW", 0.02),
        ("a.wav", "ALAW", 0.02),
        ("a.wav", "IMA_ADPCM", 0.05),
        ("a.wav", "MS_ADPCM", 0.05),
        ("a.w64", "PCM_16", 1e-4),
        ("a.aiff", "PCM_16", 1e-4),
        ("a.aif", "PCM_24", 1e-6),
        ("a.caf", "PCM_16", 1e-4),
        ("a.caf", "ALAC_16", 1e-4),
        ("a.au", "PCM_16", 1e-4),
        ("a.flac", "PCM_16", 1e-4),
        ("a.flac", "PCM_24", 1e-6),
    ],
)
def test_exact_formats(tmp_path: Path, tone: Tone, name: str, subtype: str, tolerance: float) -> None:
    clip = tone(0.25, 16_000, 2)
    read = read_clip(save(tmp_path / name, clip, subtype))
    assert (read.rate, read.name) == (clip.rate, name)
    count = clip.samples.shape[1]
    assert count <= read.samples.shape[1] <= count + 1100, "ADPCM fills its last block"
    settled = slice(500, count)  # ADPCM needs a moment to find its step
    np.testing.assert_allclose(read.samples[:, settled], clip.samples[:, settled], atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    ("name", "subtype", "form"),
    [("a.ogg", "VORBIS", "OGG"), ("a.opus", "OPUS", "OGG"), ("a.mp3", "MPEG_LAYER_III", "MP3")],
)
@pytest.mark.parametrize("with_av", [True, False])
def test_lossy_formats_of_libsndfile(
    tmp_path: Path, tone: Tone, name: str, subtype: str, form: str, with_av: bool, request: pytest.FixtureRequest
) -> None:
    if not with_av:
        request.getfixturevalue("without_av")
    clip = tone(2.0, 48_000, 2)
    read = read_clip(save(tmp_path / name, clip, subtype, form))
    assert (read.rate, read.channels, read.samples.shape) == (48_000, 2, clip.samples.shape)
    middle = slice(4800, -4800)  # everywhere, because reading in blocks garbles what a decoder carries over
    np.testing.assert_allclose(read.samples[:, middle], clip.samples[:, middle], atol=0.03)


def test_mp3_of_varying_bit_rate_without_an_index(tmp_path: Path) -> None:
    """The beginning is silent and small, so that a length guessed from it is far too short."""
    path = tmp_path / "a.mp3"
    noise = 0.3 * np.random.default_rng(0).normal(size=(48_000 * 5, 1))
    soundfile.write(path, np.concatenate([np.zeros_like(noise), noise]), 48_000, bitrate_mode="VARIABLE")
    contents = path.read_bytes()
    assert b"Xing" in contents
    path.write_bytes(contents.replace(b"Xing", bytes(4)))
    read = read_clip(path)
    assert read.seconds == pytest.approx(10, abs=0.1)
    assert float(np.abs(read.samples[:, -48_000:]).max()) > 0.5


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels", "video"),
    [
        ("a.m4a", "aac", 44_100, 2, False),
        ("lossless.m4a", "alac", 44_100, 2, False),
        ("a.aac", "aac", 48_000, 1, False),
        ("surround.m4a", "aac", 48_000, 6, False),
        ("a.webm", "libopus", 48_000, 2, False),
        ("a.mka", "flac", 48_000, 2, False),
        ("a.wma", "wmav2", 44_100, 2, False),
        ("a.amr", "libopencore_amrnb", 8000, 1, False),
        ("a.ac3", "ac3", 48_000, 2, False),
        ("a.mp2", "mp2", 48_000, 2, False),
        ("a.wv", "wavpack", 48_000, 2, False),
        ("a.3gp", "aac", 44_100, 1, False),
        ("film.mp4", "aac", 48_000, 2, True),
        ("film.mov", "aac", 44_100, 2, True),
        ("film.mkv", "libopus", 48_000, 2, True),
        ("film.avi", "mp3", 44_100, 2, True),
    ],
)
def test_formats_of_av(
    tone: Tone, encode: Encode, name: str, codec: str, rate: int, channels: int, video: bool
) -> None:
    read = read_clip(encode(tone(1.0, rate, channels), name, codec, video))
    assert (read.rate, read.channels, read.name) == (rate, channels, name)
    assert read.seconds == pytest.approx(1.0, abs=0.1)
    middle = read.samples[0, rate // 4 : rate // 4 + rate // 2]
    at_440 = np.exp(-2j * np.pi * 440 * np.arange(len(middle)) / rate)
    assert abs(2 * np.mean(middle * at_440)) == pytest.approx(0.5, abs=0.15 if "amr" in codec else 0.05)


@pytest.mark.parametrize(
    ("codec", "tolerance"), [("pcm_u8", 0.01), ("pcm_s16le", 1e-4), ("pcm_s24le", 1e-6), ("pcm_s32le", 1e-6),
                             ("pcm_f32le", 1e-6), ("pcm_f64le", 1e-6)],
)  # fmt: skip
def test_sample_forms_of_av(tone: Tone, encode: Encode, codec: str, tolerance: float) -> None:
    """Packed and planar, unsigned, signed and float frames: MOV holds them all and libsndfile does not read it."""
    clip = tone(0.25, 16_000, 2)
    read = read_clip(encode(clip, "a.mov", codec))
    np.testing.assert_allclose(read.samples, clip.samples, atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    "name", ["m4a named.mp3", "m4a named.wav", "no ending", "Regen ☂ Öl.ogg", 'it\'s "x" $(y).m4a']
)
def test_name_and_ending_do_not_matter(tone: Tone, encode: Encode, tmp_path: Path, name: str) -> None:
    path = encode(tone(), "a.m4a", "aac").rename(tmp_path / name)
    assert read_clip(path).name == name


def test_wav_named_raw_and_mp3_named_wav(tmp_path: Path, tone: Tone) -> None:
    assert read_clip(save(tmp_path / "a.wav", tone()).rename(tmp_path / "a.raw")).seconds == 1
    mp3 = save(tmp_path / "b.mp3", tone()).rename(tmp_path / "b.wav")
    assert read_clip(str(mp3)).seconds == pytest.approx(1, abs=0.1)


def test_paths_relative_and_of_the_home(tmp_path: Path, tone: Tone, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.wav", tone())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_clip("a.wav").name == read_clip("~/a.wav").name == "a.wav"


def test_same_file_twice_is_the_same(tone: Tone, encode: Encode) -> None:
    path = encode(tone(), "a.m4a", "aac")
    np.testing.assert_array_equal(read_clip(path).samples, read_clip(path).samples)


# ------------------------------------------------------------------------------------------------- what is wrong


def _bad_files(folder: Path, clip: Clip) -> Iterator[tuple[str, bytes, str]]:
    """(name, contents, part of the sentence)"""
    noise = np.random.default_rng(0).bytes
    wav = save(folder / "good.wav", clip).read_bytes()
    mp3 = save(folder / "good.mp3", clip).read_bytes()
    nan = clip.samples.copy()
    nan[0, 160] = np.nan
    soundfile.write(folder / "nan.wav", nan.T, clip.rate, subtype="FLOAT")
    yield "empty.wav", b"", "is empty (0 bytes)"
    yield "header of wav.wav", wav[:30], "could not be read"
    yield "start of wav.wav", wav[: 44 + 100], "holds 50 samples"
    yield "start of mp3.mp3", mp3[:100], "could not be read"
    yield "text.wav", b"this is not a sound\n" * 100, "could not be read"
    yield "text.mp3", b"this is not a sound\n" * 100, "could not be read"
    yield "nan.wav", (folder / "nan.wav").read_bytes(), "not a finite number"
    yield "silent.wav", wav_header(1, 16_000, bytes(32_000)), "almost nothing"
    yield "offset.wav", wav_header(1, 16_000, b"\x00\x20" * 16_000), "almost nothing"
    yield "faint.wav", wav_header(1, 16_000, b"\x20\x00\xe0\xff" * 8000), "(peak -61 dB)"
    yield "an hour.wav", wav_header(1, 1000, bytes(3_601_000), bits=8), "is 60 min 1 s long"
    yield "one sample.wav", wav_header(1, 16_000, b"\x01\x01"), "holds 1 sample"
    yield "no samples.wav", wav_header(1, 16_000, b""), "could not be read (no samples in it)"
    yield "no channels.wav", wav_header(0, 16_000, b""), "has 0 channels"
    yield "nine channels.wav", wav_header(9, 16_000, bytes(18 * 1600)), "has 9 channels"
    yield "slow.wav", wav_header(1, 500, bytes(2000)), "sample rate of 500 Hz"
    yield "noise.wav", noise(50_000), "could not be read"
    yield "noise.mp3", noise(50_000), "could not be read"
    yield "noise.m4a", noise(50_000), "could not be read"
    yield "noise with a tag.mp3", b"ID3\x03\x00\x00\x00\x00\x00\x00" + noise(50_000), "could not be read"
    yield "noise.ogg", b"OggS" + noise(50_000), "could not be read"
    yield "noise.flac", b"fLaC" + noise(50_000), "could not be read"
    yield "list.m3u8", b"#EXTM3U\n#EXTINF:1,\nfile://" + bytes(folder / "good.wav") + b"\n", "could not be read"
    yield "list.txt", b"ffconcat version 1.0\nfile good.wav\n", "could not be read"


BAD_NAMES = [
    "empty.wav", "header of wav.wav", "start of wav.wav", "start of mp3.mp3", "text.wav", "text.mp3", "nan.wav",
    "silent.wav", "offset.wav", "faint.wav", "an hour.wav", "one sample.wav", "no samples.wav", "no channels.wav",
    "nine channels.wav", "slow.wav", "noise.wav", "noise.mp3", "noise.m4a",
    "noise with a tag.mp3", "noise.ogg", "noise.flac", "list.m3u8",
    "list.txt",
]  # fmt: skip


def assert_one_sentence(error: BaseException, name: str, part: str) -> None:
    text = str(error)
    assert part in text
    assert f'"{name}"' in text
    assert "\n" not in text
    assert text.endswith(".")
    assert len(text) < 300
    assert not any(word in text for word in ("Error(", "Traceback", "errno", "0x"))


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_sound_gets_one_sentence(tmp_path: Path, tone: Tone, name: str) -> None:
    bad = {bad_name: (contents, part) for bad_name, contents, part in _bad_files(tmp_path, tone())}
    assert list(bad) == BAD_NAMES
    contents, part = bad[name]
    (tmp_path / name).write_bytes(contents)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError) as refused:
        refuse_silence(read_clip(tmp_path / name))
    assert_one_sentence(refused.value, name, part)
    assert sorted(tmp_path.iterdir()) == before, "nothing may be written"


def test_half_an_m4a_without_its_index(tone: Tone, encode: Encode) -> None:
    path = encode(tone(), "half.m4a", "aac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError) as refused:
        read_clip(path)
    assert_one_sentence(refused.value, "half.m4a", "could not be read")


def test_picture_and_silent_film_have_no_sound(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(InputError) as refused:
        read_clip(tmp_path / "a.png")
    assert_one_sentence(refused.value, "a.png", "has no sound in it")


@pytest.mark.parametrize(
    ("path", "name", "part"),
    [
        (".", "", "is a folder"),
        ("missing.wav", "missing.wav", "does not exist"),
        ("good.wav/inside.wav", "inside.wav", "does not exist"),
        ("x" * 300 + ".wav", "x" * 300 + ".wav", "could not be opened"),
        ("zero\0byte.wav", "zero?byte.wav", "could not be opened"),
    ],
)
def test_not_a_file(tmp_path: Path, tone: Tone, path: str, name: str, part: str) -> None:
    save(tmp_path / "good.wav", tone())
    with pytest.raises(InputError, match=part) as refused:
        read_clip(tmp_path / path)
    assert f'"{name or tmp_path.name}"' in str(refused.value)


def test_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(InputError, match="not a regular file"):
        read_clip(tmp_path / "pipe.wav")


def test_forbidden_file(tone: Tone) -> None:
    """Root may read everything, so root becomes nobody for the moment; the folder must be one that nobody enters."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = save(Path(folder) / "secret.wav", tone())
        path.chmod(0)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65_534)
        try:
            with pytest.raises(InputError) as refused:
                read_clip(path)
        finally:
            if root:
                os.seteuid(0)
    assert_one_sentence(refused.value, "secret.wav", "may not be read by you")


def test_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "huge.wav").open("wb") as file:
        file.truncate(1_400_000_000)  # a hole: takes no room on the disk
    with pytest.raises(InputError, match=r'"huge.wav" is 1.4 GB, but at most 1 GB is read'):
        read_clip(tmp_path / "huge.wav")


# ------------------------------------------------------------------------------------------------- cut-off files


@pytest.mark.parametrize(("name", "least"), [("a.wav", 2.9), ("a.mp3", 2.5), ("a.flac", 2.5), ("a.ogg", 1.5)])
def test_truncated_file_gives_what_is_left(tmp_path: Path, name: str, least: float) -> None:
    noise = 0.1 * np.random.default_rng(0).normal(size=(1, 96_000))
    path = save(tmp_path / name, clip_of(noise, 16_000))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert least < read_clip(path).seconds < 3.2


def test_truncated_webm_gives_what_is_left(tone: Tone, encode: Encode) -> None:
    path = encode(tone(2.0, 48_000), "a.webm", "libopus")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 0.5 < read_clip(path).seconds < 1.5


# ------------------------------------------------------------------------------------------------ limits on work


def test_long_flac_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "long.flac", np.zeros(1801 * 8000, np.int16), 8000)
    monkeypatch.setattr(decode, "Collector", None)  # decoding would fail
    with pytest.raises(InputError, match=r'"long.flac" is 30 min 1 s long'):
        read_clip(tmp_path / "long.flac")


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.aac", "aac"), ("a.webm", "libopus")])
def test_av_stops_at_the_limit(
    tone: Tone, encode: Encode, monkeypatch: pytest.MonkeyPatch, name: str, codec: str
) -> None:
    path = encode(tone(1.0, 48_000), name, codec)
    for module in ("clip", "collector", "decode_av"):
        monkeypatch.setattr(f"studio.sound.{module}.MAX_SECONDS", 0.5)
    with pytest.raises(InputError, match=r"may be at most (0.5 s|that long)") as refused:
        read_clip(path)
    assert f'"{name}"' in str(refused.value)


@pytest.mark.parametrize("name", ["a.ogg", "a.mp3", "a.wav"])
def test_reading_stops_at_the_limit(tmp_path: Path, tone: Tone, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = save(tmp_path / name, tone())
    monkeypatch.setattr("studio.sound.collector.MAX_SECONDS", 0.5)  # as if the header had not said so
    with pytest.raises(InputError, match=rf'"{name}" is longer than 0.5 s'):
        read_clip(path)


def test_memory_is_limited(tmp_path: Path, tone: Tone, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.wav", tone(1.0, 16_000, 2))
    monkeypatch.setattr("studio.sound.collector.MAX_VALUES", 31_000)
    with pytest.raises(InputError, match=r'"a.wav" has 2 channels at 16000 Hz .* GB of memory'):
        read_clip(path)


# -------------------------------------------------------------------------------------------------- without PyAV


@pytest.fixture
def without_av(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **named: Any) -> Any:
        if name.split(".")[0] == "av":
            raise ImportError(name)
        return real(name, *rest, **named)

    for name in [name for name in sys.modules if name.split(".")[0] == "av"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", refuse)
    monkeypatch.setattr(decode, "find_spec", lambda name: None)


def test_without_av_the_rest_works(tmp_path: Path, tone: Tone, encode: Encode, request: pytest.FixtureRequest) -> None:
    m4a = encode(tone(), "memo.m4a", "aac")
    wav = save(tmp_path / "a.wav", tone())
    (tmp_path / "text.wav").write_text("this is not a sound")
    request.getfixturevalue("without_av")
    assert read_clip(wav).seconds == 1
    with pytest.raises(InputError, match="install the media pack") as refused:
        read_clip(m4a)
    assert_one_sentence(refused.value, "memo.m4a", "pip install av")
    with pytest.raises(InputError, match="could not be read") as refused:
        read_clip(tmp_path / "text.wav")
    assert_one_sentence(refused.value, "text.wav", "not a sound")
    assert (decodable(wav), decodable(m4a)) == (True, False)


# -------------------------------------------------------------------------------------------------------- others


def test_decodable_looks_at_names_of_files_only(tmp_path: Path) -> None:
    for name in ("a.wav", "B.OGG", "voice memo.m4a", "film.MP4", "notes.txt", "._a.wav", ".a.wav", "wav"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.wav").mkdir()
    names = {path.name for path in tmp_path.iterdir() if decodable(path)}
    assert names == {"a.wav", "B.OGG", "voice memo.m4a", "film.MP4"}
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SOUND_SUFFIXES)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, studio.sound.decode, studio.sound.window, studio.sound.loudness, studio.sound.resample, "
        "studio.sound.pictures, studio.sound.write\n"
        "print(sorted({'torch', 'torchaudio', 'av', 'librosa', 'scipy', 'PIL', 'gradio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
