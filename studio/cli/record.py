"""`hearsight record`: a sound from a microphone of this machine."""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from studio.cli import COMMANDS
from studio.cli._options import check_folder
from studio.cli.base import Command
from studio.errors import InputError

if TYPE_CHECKING:
    from studio.sound.record import Recorder
    from studio.sound.ring import Level

_LOOK = 0.1  # s between two looks at the meter
_FLOOR = -60.0  # dBFS, the left end of the meter
_BARS = 30


@COMMANDS.register("record")
class Record(Command):
    """Record a sound with a microphone of this machine."""

    summary = "record a sound with a microphone of this machine"
    details = (
        "Records until Ctrl+C, or for --seconds, and writes a WAV file at the device's own rate; in a terminal a\n"
        "meter shows the level (peak and RMS in dB below full scale). --list prints the input devices, one a line:\n"
        "number, name, channels, rate, with a star at the one that is used without --device. PortAudio is needed\n"
        "for it; hearsight doctor says whether it is there, and how to install it."
    )
    examples = """
        hearsight record --list
        hearsight record -o rain.wav --seconds 10
        hearsight record -o street.wav --stereo --device "USB Audio"
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Where to, what from, how long."""
        parser.add_argument("-o", "--output", metavar="OUT.wav", help="the sound file to write")
        parser.add_argument("--list", action="store_true", help="list the input devices and end")
        parser.add_argument("--device", metavar="NAME", help="its number or a part of its name; default: the system's")
        parser.add_argument("--seconds", metavar="S", type=_seconds, help="how long (0.1 to 1800 s); default: Ctrl+C")
        parser.add_argument("--stereo", action="store_true", help="record two channels; default: one")

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """List the devices, or record, write, and say how it came out."""
        from studio.sound.clip import MAX_SECONDS
        from studio.sound.record import Recorder, devices

        if arguments.list:
            for one in devices():
                mark = "*" if one.default else " "
                print(f"{mark} {one.index:>3}  {one.name}, {one.system}, {one.channels} in, {one.rate} Hz")
            return 0
        target = _target(arguments.output)
        limit = MAX_SECONDS if arguments.seconds is None else arguments.seconds
        with Recorder(arguments.device, stereo=arguments.stereo, limit=limit, name=target.name) as recorder:
            _wait(recorder, endless=arguments.seconds is None)
            clip = recorder.stop()
        from studio.sound.loudness import is_silent, peak_dbfs
        from studio.sound.write import write_wav

        target.parent.mkdir(parents=True, exist_ok=True)
        write_wav(clip, target)
        print(target)
        if recorder.overflows:
            print("The machine was too busy: some moments are missing.", file=sys.stderr)
        if peak_dbfs(clip) > -0.01:
            print("It was too loud for the input (0 dB): turn it down or step back.", file=sys.stderr)
        elif is_silent(clip):
            print("It is almost silent. Is it the right device? hearsight record --list names them.", file=sys.stderr)
        return 0


def _wait(recorder: Recorder, endless: bool) -> None:
    """Until the limit or Ctrl+C, with a meter where stderr is a terminal."""
    shows = sys.stderr.isatty()
    if endless and shows:
        print("Recording. Ctrl+C ends it.", file=sys.stderr)
    try:
        while recorder.recording:
            if shows:
                print(f"\r{meter(recorder.level)} {recorder.seconds:6.1f} s ", end="", file=sys.stderr, flush=True)
            time.sleep(_LOOK)
    except KeyboardInterrupt:
        pass  # the way to end it: what was recorded is kept
    finally:
        if shows:
            print(file=sys.stderr)


def meter(level: Level) -> str:
    """A bar of the RMS from -60 dBFS to 0 with both values behind it; "!" when the input is too loud."""
    share = min(max((level.rms - _FLOOR) / -_FLOOR, 0.0), 1.0) if math.isfinite(level.rms) else 0.0
    bars = round(share * _BARS)

    def plain(value: float) -> str:
        return f"{value:4.0f}" if value > -100 else "  - "

    mark = "!" if level.clipped else " "
    return f"|{'#' * bars}{' ' * (_BARS - bars)}|{mark} peak {plain(level.peak)} dB, RMS {plain(level.rms)} dB"


def _target(output: str | None) -> Path:
    """Raises InputError, before anything is recorded, when it could not be written there."""
    if output is None:
        raise InputError("Say where the recording goes: -o OUT.wav. See: hearsight record --help")
    target = Path(output).expanduser()
    if target.suffix.lower() != ".wav":
        raise InputError(f"The sound is written as WAV, but {output!r} does not end in .wav.")
    try:
        if target.is_dir():
            raise InputError(f"{str(target)!r} is a folder, but a sound is to be written there: give a file name.")
        check_folder(target.parent)
    except OSError as error:
        raise InputError(f"The sound cannot be written to {output!r} ({error.strerror}): choose another.") from None
    return target


def _seconds(text: str) -> float:
    try:
        value = float(text)
        if not 0.1 <= value <= 1800:  # also true for NaN
            raise ValueError
    except ValueError:
        raise InputError(f"--seconds must be a number from 0.1 to 1800, but {text!r} was given.") from None
    return value
