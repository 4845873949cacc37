"""`make bench`: the figures that Hearsight promises, each measured on whole processes.

1. a warm picture: 256 px, 20 steps, model loaded, decoding included; the median of five         at most 3 s
   and the same with pocket-fast in 4 steps                                                        at most 0.5 s
2. `hearsight generate` from a cold start, model loading and saving included; the median of three  at most 15 s
3. the page after `make run` on an installed checkout: until Make can be pressed in chromium      at most 8 s
4. peak memory of 2 and of 3 (the whole process tree, without the browser)                        at most 2.5 GB
5. an edit at 50 steps, beside the published algorithm's 250 evaluations (tests/bench/edits.py): the first one of a
   photo, with its check, at most 0.5 of that time, a further sound at most 0.45; without the check is printed too

Exit code 1 when one of them is missed. The figures depend on what else the machine is doing: its load is printed too.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
SOUND = ROOT / "assets" / "sounds" / "rain.ogg"
HEARSIGHT = str(Path(sys.executable).with_name("hearsight"))

# In a process of its own, so that nothing of the benchmark itself is warm or counted.
WARM = f"""
import sys
import time
from studio.engine import Engine
from studio.recipe import Recipe, Track
engine = Engine()
recipe = Recipe(tracks=(Track.of({str(SOUND)!r}),), model=sys.argv[1], width=256, height=256, preview_every=0)
for seed in range(7):
    start = time.perf_counter()
    engine.run(recipe.replace(seed=seed))
    if seed > 1:
        print(time.perf_counter() - start)
"""


class Peak:
    """The most memory a process and its children held together, in bytes, looked at every 20 ms.

    Proportional set size: pages that two processes share are not counted twice.
    """

    def __init__(self, process: int) -> None:
        self.bytes = 0
        self._process = psutil.Process(process)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            try:
                family = [self._process, *self._process.children(recursive=True)]
                self.bytes = max(self.bytes, sum(_held(one) for one in family))
            except psutil.Error:
                continue  # ended between two looks

    def stop(self) -> int:
        """Stop looking; the peak in bytes."""
        self._over.set()
        self._thread.join()
        return self.bytes


def warm_pictures(model: str) -> list[float]:
    """Seconds of each of five pictures, with the model's own steps, after two to warm up."""
    done = subprocess.run([sys.executable, "-c", WARM, model], cwd=ROOT, capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


def cold_command(folder: Path) -> tuple[float, int]:
    """Seconds and peak memory in bytes of one `hearsight generate` at 256 px and 20 steps."""
    options = ["generate", str(SOUND), "-o", str(folder / "cold.png"), "--size", "256", "--steps", "20"]
    start = time.perf_counter()
    process = subprocess.Popen([HEARSIGHT, *options], cwd=ROOT, stdout=subprocess.DEVNULL)
    peak = Peak(process.pid)
    if process.wait():
        sys.exit("hearsight generate failed")
    return time.perf_counter() - start, peak.stop()


def edits(folder: Path) -> list[float]:
    """Seconds of the published evaluations, these in batches, a first edit, a further sound, a first with check."""
    environment = os.environ | {"HEARSIGHT_HOME": str(folder / "edits")}  # where no photo is remembered
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.edits"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(line) for line in done.stdout.split()]


def page(folder: Path) -> tuple[float, float, int]:
    """Seconds until the page answers, until Make can be pressed, and peak memory after one picture, of `make run`."""
    from playwright.sync_api import sync_playwright

    port = _free_port()
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        # Open beforehand, as a person's browser is.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        start = time.perf_counter()
        process = subprocess.Popen(
            ["make", "run", f"PORT={port}"],
            cwd=ROOT,
            env=os.environ | {"HEARSIGHT_HOME": str(folder), "DISPLAY": "", "WAYLAND_DISPLAY": ""},
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # so that make and what it started can be ended together
        )
        peak = Peak(process.pid)
        try:
            _wait(lambda: _answers(port), process)
            answered = time.perf_counter() - start
            tab.goto(f"http://127.0.0.1:{port}")
            tab.wait_for_selector("#make:not([disabled])", timeout=60_000)
            usable = time.perf_counter() - start
            tab.click("#make")
            tab.wait_for_selector("#download:visible", timeout=120_000)
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=30)
        return answered, usable, peak.stop()


def main() -> int:
    print(f"{os.cpu_count()} cores, load before: {os.getloadavg()[0]:.1f}", flush=True)
    missed = 0

    def say(what: str, value: float, limit: float, unit: str, note: str = "") -> None:
        nonlocal missed
        missed += value > limit
        verdict = "ok" if value <= limit else "MISSED"
        print(f"{what:<44} {value:6.2f} {unit} (at most {limit:g})  {verdict}  {note}".rstrip(), flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model, steps, limit in (("pocket", 20, 3.0), ("pocket-fast", 4, 0.5)):
            warm = warm_pictures(model)
            say(f"warm picture, 256 px, {steps} steps", statistics.median(warm), limit, "s", _spread(warm))
        cold = [cold_command(folder) for _ in range(3)]
        seconds = [one for one, _ in cold]
        say("hearsight generate, cold", statistics.median(seconds), 15, "s", _spread(seconds))
        answered, usable, app_peak = page(folder)
        say("page usable after make run", usable, 8, "s", f"answered after {answered:.2f} s")
        say("peak memory, hearsight generate", max(peak for _, peak in cold) / 1e9, 2.5, "GB")
        say("peak memory, app after one picture", app_peak / 1e9, 2.5, "GB")
        published, batches, first, further, plain = edits(folder)
        say("first edit / published 250 evaluations", first / published, 0.5, "x", f"{first:.2f} s, {published:.2f} s")
        say("further sound / published 250 evaluations", further / published, 0.45, "x", f"{further:.2f} s")
        print(f"  the first edit without its check: {plain / published:.2f} x")
        print(f"  beside the published batches of 2 and 3: {first / batches:.2f} x, {further / batches:.2f} x")
    return int(missed > 0)


def _spread(values: list[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


def _held(process: psutil.Process) -> int:
    memory = process.memory_full_info()
    return int(getattr(memory, "pss", memory.rss))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            sys.exit("make run did not open the page")
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
