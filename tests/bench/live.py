"""`make live`: how often the Live tab paints, from the bits of sound that a browser would send to the picture.

The tab's own handlers are fed in real time: 0.4 s of a recording at a time, as files, while its generator paints. The
goal is a new picture every one to two seconds. Exit code 1 when the median is above 2 s.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from studio.sound.clip import Clip
from studio.sound.decode import read_clip
from studio.sound.window import cut
from studio.sound.write import write_wav

SOUND = Path(__file__).resolve().parents[2] / "assets" / "sounds" / "rain.ogg"
COUNT = 15
GOAL = 2.0  # s


def bits(clip: Clip, folder: Path, seconds: float) -> list[Path]:
    """The recording in pieces, as WAV files."""
    found = []
    for number in range(int(clip.seconds / seconds)):
        path = folder / f"{number}.wav"
        write_wav(cut(clip, number * seconds, seconds), path)
        found.append(path)
    return found


def main() -> int:
    from studio.ui import stay_local

    stay_local()
    from studio.ui.live_tab import CHUNK, LiveTab
    from studio.ui.page import build_page
    from studio.ui.service import Model, Service

    print(f"{os.cpu_count()} cores, load before: {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        service = Service(home=Path(name))
        demo = build_page(service)
        handler = next(fn.fn for fn in demo.fns.values() if getattr(fn.fn, "__name__", "") == "reseeded")
        tab = cast(LiveTab, cast(Any, handler).__self__)
        request = cast(Any, SimpleNamespace(session_hash="bench"))
        service.load()
        if service.condition.model is not Model.READY:
            sys.exit(f"the model could not be loaded: {service.condition.detail}")
        pieces = bits(read_clip(SOUND), Path(name), CHUNK)
        over = threading.Event()

        def speak() -> None:
            number = 0
            while not over.wait(CHUNK):
                tab.arrived(str(pieces[number % len(pieces)]), request)
                number += 1

        values = {name: control.value for name, control in tab.inputs.items()} | {"seed": 7}
        painting = tab.listened(request, **values)
        next(painting)
        threading.Thread(target=speak, daemon=True).start()
        came: list[float] = []
        for updates in painting:
            if tab.picture in updates:
                came.append(time.monotonic())
                if len(came) > COUNT:
                    break
        over.set()
        painting.close()  # type: ignore[attr-defined]
    gaps = [after - before for before, after in pairwise(came)]
    median = statistics.median(gaps)
    verdict = "ok" if median <= GOAL else "MISSED"
    print(f"live: a picture every {median:.2f} s (at most {GOAL:g})  {verdict}  {min(gaps):.2f} to {max(gaps):.2f}")
    return int(median > GOAL)


if __name__ == "__main__":
    sys.exit(main())
