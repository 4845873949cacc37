"""Reading sound files: libsndfile first, then PyAV, then a clear sentence. Only MP3 is read by PyAV first.

No ffmpeg program is started, nothing is fetched, and never more than the longest sound is decoded.
"""

from __future__ import annotations

import os
import stat
from importlib.util import find_spec
from pathlib import Path

import soundfile

from studio.errors import InputError
from studio.limits import limits
from studio.sound.clip import MAX_SECONDS, Clip, check_form, spoken
from studio.sound.collector import Collector
from studio.sound.decode_av import NothingDecodedError, read_by_av

_BY_LIBSNDFILE = ".wav .wave .bwf .w64 .rf64 .aif .aiff .aifc .caf .au .snd .flac .ogg .oga .opus .mp3"
_BY_AV = (
    ".m4a .m4b .aac .mp4 .m4v .mov .3gp .3g2 .webm .weba .mka .mkv .wma .wmv .asf .amr .ac3 .eac3 .mp2 .mpg .mpeg "
    ".ts .avi .flv .wv .ape .tta .dts .ogv"
)
SOUND_SUFFIXES = frozenset(_BY_LIBSNDFILE.split()) | frozenset(_BY_AV.split())
"""Endings of files that `read_clip` reads when PyAV is installed; lower case, with the dot."""

MAX_BYTES = 1_000_000_000
_BLOCK = 4096  # samples of one channel decoded at a time; of a damaged file, the most that is lost before the damage

# How the files begin that libsndfile is asked about. It would guess at others by their ending (.raw, .vox) and hear
# noise, or let libmpg123 write its search for a beginning to the terminal (anything at all that is named .mp3).
_LIBSNDFILE_MAGIC = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"caff", b"fLaC", b"OggS", b".snd")


def read_clip(path: str | os.PathLike[str]) -> Clip:
    """Decode a sound file, or the sound of a video file, to a Clip named after the file.

    The samples are float32 [C, N] at the file's own rate, full scale at -1..1. A file cut off somewhere is accepted
    with what can still be decoded, if that is at least 0.05 s. Silence is accepted: see `loudness.refuse_silence`.

    Raises InputError, one sentence naming the file: not there, a folder, not readable, empty, above 1 GB, not a
    sound, more than 8 channels, longer than 30 min or HEARSIGHT_MAX_SECONDS (refused by the header where it can be
    trusted, else while decoding), shorter than 0.05 s, NaN inside.
    """
    file, head = _inspect(path)
    readers = [read_by_av]
    if head.startswith(_LIBSNDFILE_MAGIC):
        readers = [_read_by_libsndfile, read_by_av]
    elif _is_mpeg(head):
        # Of an MP3 of varying bit rate without an index, libsndfile finds the beginning only: 15 s of 40.
        readers = [read_by_av, _read_by_libsndfile]
    reason, av_is_missing = "", False
    for reader in readers:
        try:
            return reader(file)
        except NothingDecodedError as error:
            reason = reason or str(error)
        except ImportError:
            av_is_missing = True
    what = spoken(file.name)
    if av_is_missing and len(readers) == 1 and file.suffix.lower() in _BY_AV.split():
        raise InputError(
            f"{what} cannot be opened on this computer yet: install the media pack (pip install av), "
            "or save the sound as WAV, MP3, FLAC or OGG."
        )
    raise InputError(
        f"{what} could not be read{f' ({reason})' if reason else ''}: it is damaged, or not a sound; "
        "try to save it as WAV, MP3, M4A, FLAC or OGG."
    )


def decodable(path: str | os.PathLike[str]) -> bool:
    """Whether this is a file whose ending says that `read_clip` can read it on this installation.

    The file is not opened. Hidden files (macOS writes "._rain.wav" beside "rain.wav") are not sounds.
    """
    file = Path(path)
    known = SOUND_SUFFIXES if find_spec("av") else frozenset(_BY_LIBSNDFILE.split())
    return file.suffix.lower() in known and not file.name.startswith(".") and file.is_file()


def _inspect(path: str | os.PathLike[str]) -> tuple[Path, bytes]:
    """The path and its first bytes, of a file that is there, readable, not empty and not huge."""
    file = Path(path).expanduser()
    what = spoken(file.name or str(path))
    try:
        info = file.stat()
        if stat.S_ISDIR(info.st_mode):
            raise InputError(f"{what} is a folder, but a sound file is needed: name a file in it.")
        if not stat.S_ISREG(info.st_mode):
            raise InputError(f"{what} is not a regular file (a pipe or a device): save the sound as a file first.")
        with file.open("rb") as opened:
            head = opened.read(16)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{what} does not exist (looked for {spoken(str(path))}): check the path.") from None
    except PermissionError:
        raise InputError(f"{what} may not be read by you: change its permissions or copy it elsewhere.") from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{what} could not be opened ({reason}): check the path.") from None
    if not info.st_size:
        raise InputError(f"{what} is empty (0 bytes), but a sound is needed: record or save it again.")
    if info.st_size > MAX_BYTES:
        size = f"{info.st_size / 1e9:.1f} GB"
        raise InputError(f"{what} is {size}, but at most {MAX_BYTES / 1e9:g} GB is read: cut out the part you want.")
    return file, head


def _is_mpeg(head: bytes) -> bool:
    """MPEG audio, layer 1 to 3 (layer "0" is AAC), at once or after a tag."""
    frame = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 != 0
    return frame or head.startswith(b"ID3")


def _read_by_libsndfile(file: Path) -> Clip:
    """Raises NothingDecodedError when that is so, InputError when what was decoded cannot be a Clip."""
    try:
        with soundfile.SoundFile(os.fsencode(file)) as sound:
            return _decode(file.name, sound)
    except soundfile.LibsndfileError as error:
        raise NothingDecodedError(_reason(error)) from error
    except TypeError as error:  # soundfile wants to be told the rate of any file named .raw, even of a WAV
        raise NothingDecodedError from error


def _decode(name: str, sound: soundfile.SoundFile) -> Clip:
    channels, rate, frames = sound.channels, sound.samplerate, sound.frames
    check_form(name, channels, rate)
    longest = limits().below("seconds", MAX_SECONDS)
    limit = int(longest * rate)
    # soundfile seeks after every read, which garbles MPEG audio: that is read in one piece.
    in_one_piece = sound.subtype.startswith("MPEG")
    if frames > limit and (in_one_piece or _has_sound_at(sound, limit)):
        check_form(name, channels, rate, frames, longest)  # raises, and names the length
    collector = Collector(name, channels, rate, frames if frames <= limit else 0)
    try:
        while len(block := sound.read(frames if in_one_piece else _BLOCK, dtype="float32", always_2d=True)):
            collector.add(block.T, rate)
    except soundfile.LibsndfileError:
        if not collector.count:
            raise
    if not collector.count:
        raise NothingDecodedError("no samples in it")  # PyAV may find some
    return collector.clip()


def _has_sound_at(sound: soundfile.SoundFile, position: int) -> bool:
    """Whether a sound goes on at that sample. A header that says so is not enough: files get cut off."""
    try:
        sound.seek(position)
        return len(sound.read(1)) > 0
    except soundfile.LibsndfileError:
        return False
    finally:
        sound.seek(0)


def _reason(error: soundfile.LibsndfileError) -> str:
    """What libsndfile says, unless it is untrue (a broken MP3 is, to it, a file that does not exist) or nothing."""
    text = str(error.error_string).strip().rstrip(".")
    return "" if text.startswith(("File does not exist", "(Garbled")) else text
