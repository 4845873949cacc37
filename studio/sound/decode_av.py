"""Decoding with PyAV, FFmpeg's libraries inside Python: M4A, AAC, WebM, the sound of videos, and much more.

`av` is imported only here and only when needed, so that everything else works without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from studio.errors import InputError
from studio.limits import limits
from studio.sound.clip import MAX_SECONDS, Clip, Samples, check_form, spoken
from studio.sound.collector import Collector

if TYPE_CHECKING:
    from av import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

# Containers that state their length; elsewhere FFmpeg estimates it from the bit rate, sometimes by a factor of ten.
_STATED_LENGTH = ("mp4", "matroska", "asf", "avi", "wav", "wv", "ape", "tta")


class NothingDecodedError(Exception):
    """The file is not a sound, or too damaged. The text says why if that can be said to people, else it is empty."""


def read_by_av(file: Path) -> Clip:
    """Decode the (best) sound stream of an existing file, up to its end or its damage.

    Raises ImportError when PyAV is missing, NothingDecodedError when there is nothing to be had,
    InputError when the sound is too long, too short, has too many channels, or when a video has none.
    """
    import av

    try:
        # Through an open file and without protocols: a playlist inside a file must not make FFmpeg open other things.
        with (
            file.open("rb") as opened,
            av.open(opened, metadata_errors="ignore", options={"protocol_whitelist": "none"}) as opened_container,
        ):
            container = cast("InputContainer", opened_container)
            if not container.streams.audio:
                raise InputError(
                    f"{spoken(file.name)} has no sound in it: choose a sound file, or a video that has sound."
                )
            stream = cast("AudioStream", container.streams.best("audio")) or container.streams.audio[0]
            return _decode(file.name, container, stream)
    except (av.FFmpegError, OSError, ValueError) as error:  # ValueError: PyAV, of streams it has no way to decode
        raise NothingDecodedError from error


def _decode(name: str, container: InputContainer, stream: AudioStream) -> Clip:
    if stream.codec_context is None:
        raise NothingDecodedError("in a coding that is not known")
    channels, rate = stream.codec_context.channels, stream.codec_context.sample_rate
    check_form(name, channels, rate)
    seconds = _stated_seconds(container, stream)
    longest = limits().below("seconds", MAX_SECONDS)
    if seconds > longest:
        check_form(name, channels, rate, int(seconds * rate), longest)  # raises, and names the length
    collector: Collector | None = None
    for frame in _frames(container, stream):
        block = _to_float(frame)
        if collector is None:  # the rate that counts is the decoder's: HE-AAC plays at twice what its header says
            collector = Collector(name, len(block), frame.sample_rate, int(seconds * frame.sample_rate))
        collector.add(block, frame.sample_rate)
    if collector is None:
        raise NothingDecodedError
    return collector.clip()


def _stated_seconds(container: InputContainer, stream: AudioStream) -> float:
    """The length that the file states, or 0 when it states none."""
    if not any(form in _STATED_LENGTH for form in container.format.name.split(",")):
        return 0.0
    return float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Decoded frames; a damaged packet is left out, a damaged file ends where it cannot be followed any further."""
    import av

    packets = iter(container.demux(stream))
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue


def _to_float(frame: AudioFrame) -> Samples:
    """float32 [C, n] of a decoded frame, full scale at -1..1."""
    values = cast("np.ndarray[Any, Any]", frame.to_ndarray())  # planar: [C, n]; packed: [1, n * C]
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if values.dtype.kind == "u":  # only 8 bits exist unsigned, with their zero at 128
        values = (values - np.float32(128)) / 128
    elif values.dtype.kind == "i":
        values = values / -float(np.iinfo(values.dtype).min)
    return np.asarray(values, dtype=np.float32)
