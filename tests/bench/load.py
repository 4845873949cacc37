"""`make load`: many requests at once, and many after each other, on a running app.

1. 20 requests of 5 clients wait in the line together: none is lost, and each gets the picture of its own sound and
   seed. That is seen from the recipe inside each PNG, and from asking for each once more alone: the same bytes.
2. 100 pictures after each other, each of another seed: the app's memory stays within 200 MB of what it was after 10.

The app is a process of its own, with a data folder of its own. Exit code 1 when one of the two fails.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from gradio_client import Client, handle_file  # type: ignore[import-untyped]

from studio.library.png import read_recipe

ROOT = Path(__file__).resolve().parents[2]
SOUNDS = sorted((ROOT / "assets" / "sounds").glob("*.ogg"))
PATIENCE = 600.0  # s for one answer
MOST_GROWTH = 200.0  # MB
SETTLED = 10  # pictures, after which memory is taken as the beginning


@dataclass(frozen=True)
class Order:
    """One request: which sound, which seed. size in px."""

    sound: Path
    seed: int
    size: int
    steps: int

    def ask(self, client: Client) -> str:
        """Make the picture; its path on this side."""
        picture, _ = client.predict(
            handle_file(str(self.sound)),
            seed=self.seed,
            steps=self.steps,
            width=self.size,
            height=self.size,
            api_name="/sound_to_image",
        )
        return str(picture)

    def is_answered_by(self, picture: str) -> bool:
        """Whether the recipe in a PNG is that of this request."""
        recipe = read_recipe(Path(picture))
        (track,) = recipe.tracks
        return (recipe.seed, track.sha256) == (self.seed, hashlib.sha256(self.sound.read_bytes()).hexdigest())


@contextmanager
def app(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A running app with its data below `folder`; its address and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "app.py", "--no-browser", "--port", str(port)]
    environment = os.environ | {"HEARSIGHT_HOME": str(folder), "GRADIO_TEMP_DIR": str(folder / "cache")}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 300
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > end:
                sys.exit("the app did not start")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()


def client_of(url: str, downloads: Path) -> Client:
    """A client that waits as long as a busy machine needs."""
    return Client(url, verbose=False, download_files=str(downloads), httpx_kwargs={"timeout": PATIENCE})


def together(url: str, folder: Path, orders: list[Order], clients: int) -> tuple[int, int, float]:
    """Send all at once, spread over the clients. Gives how many were lost, how many mixed up, and the seconds."""
    each = [client_of(url, folder / f"client-{number}") for number in range(clients)]

    def ask(index: int) -> str | None:
        try:
            return orders[index].ask(each[index % clients])
        except Exception as error:  # counted, and said
            print(f"request {index}: {error}", file=sys.stderr)
            return None

    begun = time.monotonic()
    with ThreadPoolExecutor(len(orders)) as pool:
        pictures = list(pool.map(ask, range(len(orders))))
    seconds = time.monotonic() - begun
    mixed = 0
    for order, picture in zip(orders, pictures, strict=True):
        if picture is not None:
            alone = order.ask(each[0])
            same = Path(alone).read_bytes() == Path(picture).read_bytes()
            mixed += not (order.is_answered_by(picture) and same)
    return pictures.count(None), mixed, seconds


def memory(url: str, folder: Path, process: psutil.Process, count: int, size: int, steps: int) -> list[float]:
    """The app's memory in MB (proportional set size) after each of so many pictures, each of another seed."""
    client = client_of(url, folder / "after")
    held = []
    for number in range(count):
        Order(SOUNDS[number % len(SOUNDS)], 1000 + number, size, steps).ask(client)
        held.append(_held(process) / 1e6)
        if number == 0 or (number + 1) % 10 == 0:
            print(f"  after {number + 1:3} pictures: {held[-1]:7.1f} MB", flush=True)
    return held


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options: dict[str, Any] = {"requests": 20, "clients": 5, "pictures": 100, "size": 128, "steps": 4}
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N")
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load before: {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as name, app(Path(name) / "home") as (url, process):
        folder = Path(name)
        orders = [
            Order(SOUNDS[index % len(SOUNDS)], 100 + index, given.size, given.steps) for index in range(given.requests)
        ]
        Order(SOUNDS[0], 1, given.size, given.steps).ask(client_of(url, folder / "first"))  # the model is loaded
        lost, mixed, seconds = together(url, folder, orders, given.clients)
        print(f"{given.requests} requests of {given.clients} clients: {lost} lost, {mixed} mixed up, {seconds:.1f} s")
        held = memory(url, folder, process, given.pictures, given.size, given.steps)
        settled = held[min(SETTLED, len(held)) - 1]
        growth = max(held[SETTLED - 1 :], default=settled, key=lambda one: abs(one - settled)) - settled
        verdict = "ok" if abs(growth) <= MOST_GROWTH else "MISSED"
        print(f"memory over {given.pictures} pictures: {growth:+.1f} MB at most (within {MOST_GROWTH:g})  {verdict}")
    return int(lost > 0 or mixed > 0 or abs(growth) > MOST_GROWTH)


def _held(process: psutil.Process) -> int:
    memory = process.memory_full_info()
    return int(getattr(memory, "pss", memory.rss))


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    sys.exit(main())
