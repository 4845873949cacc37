"""Writing sound files. A file appears whole or not at all.

The soft rule: a file of whole numbers, or of lossy coding, cannot hold samples beyond full scale (-1..1). A clip that
stays inside is written as it is. Of a clip that does not, what lies above -1 dBFS is bent by a tanh so that it
approaches full scale without reaching it; everything below -1 dBFS is left untouched, and the bend has no corner.
A file of floats holds the samples as they are.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import soundfile

from studio.errors import HearsightError, InputError
from studio.sound.clip import Clip, Samples, spoken

_KNEE = 10 ** (-1 / 20)  # -1 dBFS


def soft_limit(samples: Samples) -> Samples:
    """The soft rule above, for samples of any shape. Returns the given array when nothing exceeds full scale."""
    if samples.max() <= 1 and samples.min() >= -1:
        return samples
    size = np.abs(samples)
    bent = _KNEE + (1 - _KNEE) * np.tanh((size - _KNEE) / (1 - _KNEE))
    return np.where(size > _KNEE, np.copysign(bent, samples), samples).astype(np.float32)


def write_wav(clip: Clip, path: str | os.PathLike[str], subtype: str = "PCM_16") -> None:
    """Write a WAV file, replacing what was there.

    subtype: PCM_16, PCM_24, FLOAT or another of soundfile's; FLOAT and DOUBLE keep samples beyond full scale,
    the others follow the soft rule of this module. Raises InputError when the place or the subtype cannot be used.
    """
    if not soundfile.check_format("WAV", subtype):
        known = ", ".join(soundfile.available_subtypes("WAV"))
        raise InputError(f"A WAV file has no subtype {subtype!r}: use one of {known}.")
    _write(clip, Path(path), "WAV", subtype, limited=subtype not in ("FLOAT", "DOUBLE"))


def write_ogg(clip: Clip, path: str | os.PathLike[str]) -> None:
    """Write an Ogg Vorbis file, replacing what was there; samples beyond full scale follow the soft rule.

    Raises InputError when the place cannot be used.
    """
    _write(clip, Path(path), "OGG", "VORBIS", limited=True)


def _write(clip: Clip, path: Path, form: str, subtype: str, limited: bool) -> None:
    # In blocks of a second: libsndfile crashes the process when it is handed an hour for an Ogg file in one piece.
    # Whether to limit is decided once for the whole clip, so that its blocks follow one curve.
    samples = soft_limit(clip.samples) if limited else clip.samples
    with atomic(path) as part:
        try:
            with soundfile.SoundFile(
                os.fsencode(part), "w", clip.rate, clip.channels, subtype=subtype, format=form
            ) as file:
                for first in range(0, samples.shape[1], clip.rate):
                    file.write(samples[:, first : first + clip.rate].T)
        except soundfile.LibsndfileError as error:
            raise HearsightError(
                f"{spoken(path.name)} could not be written as {form} {subtype} with {clip.channels} channels at "
                f"{clip.rate} Hz ({error.error_string.rstrip('.')}): free some space, or write another format."
            ) from None


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A hidden name beside `path` to write to; it takes the place of `path` when the block succeeds, else it is gone.

    Raises InputError when the place cannot be used.
    """
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        if path.is_dir():
            raise InputError(f"{spoken(path.name)} is a folder: give the name of a file in it.")
        part.touch()  # says why not, if not, better than libsndfile would
        yield part
        os.replace(part, path)
    except OSError as error:
        raise InputError(
            f"{spoken(path.name)} could not be written in {path.parent} ({error.strerror}): choose another place."
        ) from None
    finally:
        with suppress(OSError):  # the folder is gone or forbidden, which the error under way already says
            part.unlink(missing_ok=True)
