"""Sounds and sound files to test with. All are made here, in a moment, at no more than a few hundred kilobytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from studio.sound.clip import Clip


@pytest.fixture
def tone() -> Callable[..., Clip]:
    """tone(seconds, rate, channels, hertz, amplitude): a sine, the same in every channel."""

    def make(
        seconds: float = 1.0, rate: int = 16_000, channels: int = 1, hertz: float = 440.0, amplitude: float = 0.5
    ) -> Clip:
        wave = amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
        return Clip(np.repeat(wave[None].astype(np.float32), channels, axis=0), rate)

    return make


@pytest.fixture
def encode(tmp_path: Path) -> Callable[..., Path]:
    """encode(clip, name, codec, video=False): a file written by PyAV, with a moving picture if wanted."""
    import av

    def write(clip: Clip, name: str, codec: str, video: bool = False) -> Path:
        path = tmp_path / name
        layout = {1: "mono", 2: "stereo", 6: "5.1"}[clip.channels]
        with av.open(str(path), "w") as container:
            # Every stream is there before the first packet: FFmpeg crashes on one that comes later.
            stream = container.add_stream(codec, rate=clip.rate, layout=layout)
            assert isinstance(stream, av.AudioStream)
            stream.bit_rate = 12_200 if "amr" in codec else 64_000 * clip.channels
            if video:
                pictures = container.add_stream("mpeg4", rate=10)
                assert isinstance(pictures, av.VideoStream)
                pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
                for index in range(int(10 * clip.seconds)):
                    picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 10 * index % 256, np.uint8))
                    picture.pts = index
                    container.mux(pictures.encode(picture))
                container.mux(pictures.encode())
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(clip.samples), "fltp", layout)
            frame.sample_rate, frame.pts = clip.rate, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return write
