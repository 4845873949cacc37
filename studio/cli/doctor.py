"""`hearsight doctor`: what this machine can do, and why."""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from studio import __version__
from studio.cli import COMMANDS
from studio.cli.base import Command
from studio.errors import HearsightError
from studio.limits import described
from studio.paths import assets_folder, data_home, presets_folder

Line = tuple[str, str]  # what, and how it is

LIBRARIES = ("torch", "torchaudio", "diffusers", "transformers", "gradio", "soundfile", "librosa", "pydantic")
PORT = 7860
CPU_FEATURES = ("amx_bf16", "amx_int8", "avx512_bf16", "avx512f", "avx2")


@COMMANDS.register("doctor")
class Doctor(Command):
    """Say what this machine can do, and why."""

    summary = "say what this machine can do, and why"
    details = (
        "Looks at the processor, the memory, the libraries, the embedded model (which is loaded) and the app's port.\n"
        "The network is not touched unless --network is given. The exit code is 1 when no picture can be made."
    )
    examples = """
        hearsight doctor
        hearsight doctor --network
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Whether the network may be tried."""
        parser.add_argument(
            "--network", action="store_true", help="also try to reach the hub that real models come from"
        )

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Print every part as it is found out."""
        healthy = True
        parts: list[tuple[str, Callable[[], Iterator[Line]]]] = [
            ("Machine", machine),
            ("Computing", computing),
            ("Libraries", libraries),
            ("Embedded models", models),
            ("Ears", ears),
            ("Real models", lambda: real_models(arguments.network)),
            ("App", app),
            ("Limits of the app", app_limits),
        ]
        for title, lines in parts:
            print(f"\n{title}" if title != "Machine" else title)
            try:
                for what, how in lines():
                    print(f"  {what:<14} {how}", flush=True)
            except HearsightError as error:
                healthy = False
                print(f"  {'PROBLEM':<14} {error}")
        print(f"\n{'Ready to make pictures.' if healthy else 'No pictures can be made: see PROBLEM above.'}")
        return 0 if healthy else 1


def machine() -> Iterator[Line]:
    """System, Python, processor, memory and disk."""
    yield "system", f"{platform.system()} {platform.release()}, {platform.machine()}"
    yield "python", f"{platform.python_version()} in {sys.prefix}"
    yield "processor", f"{_processor()}, {os.cpu_count()} cores"
    total, free = _memory()
    yield "memory", f"{total / 2**30:.1f} GiB, {free / 2**30:.1f} GiB free" if total else "unknown on this system"
    home = data_home()
    there = next(folder for folder in (home, *home.parents) if folder.is_dir())
    writable = "writable" if os.access(there, os.W_OK) else "NOT writable: set HEARSIGHT_HOME to another folder"
    yield "your data", f"{home}, {shutil.disk_usage(there).free / 2**30:.0f} GiB free, {writable}"


def computing() -> Iterator[Line]:
    """Device, number format and the reason, as the engine chooses them."""
    import torch

    from studio.device import pick_device

    choice = pick_device("auto")
    yield "device", f"{choice.device.type}: {choice.reason}"
    yield "U-Net in", str(choice.dtype).removeprefix("torch.")
    able = torch.cpu.get_capabilities()
    yield "instructions", ", ".join(name for name in CPU_FEATURES if able.get(name, False)) or "none that help"
    yield "threads", str(torch.get_num_threads())


def libraries() -> Iterator[Line]:
    """Versions, and what is there beside Python's packages."""
    yield "hearsight", __version__
    for name in LIBRARIES:
        yield name, _version(name) or "MISSING: install again"
    yield "av", _version("av") or "missing, so no M4A, AAC, WebM, MP4: pip install av"
    yield "PortAudio", _recording()
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    yield "chromium", browser or "missing; only the tests need it"


def models() -> Iterator[Line]:
    """What came with Hearsight, with digests; the image model is loaded to see that it is whole."""
    from studio.backbones import load_backbone
    from studio.backbones.hub import embedded_models
    from studio.device import pick_device

    folder = assets_folder()
    yield "assets", str(folder)
    yield "presets", f"{presets_folder()}, {len(list(presets_folder().glob('*.json')))} files"
    if not embedded_models():
        raise HearsightError(
            f"There is no image model in {folder}: install again, or train one (hearsight train --help)."
        )
    for name in embedded_models():
        start = time.monotonic()
        backbone = load_backbone(name, pick_device("auto"))
        yield f"model {name}", f"{backbone.digest()}, loaded in {time.monotonic() - start:.1f} s"
        yield "its memory", backbone.choice.reason.rpartition("; ")[2]
    for path in sorted([*folder.glob("ear/*.safetensors"), *folder.glob("adapters/*/*.safetensors")]):
        yield path.parent.relative_to(folder).as_posix(), f"{_digest(path)}, {path.stat().st_size / 2**20:.1f} MiB"
    if not any(folder.glob("ear/*.safetensors")) or not any(folder.glob("adapters/*/*.safetensors")):
        raise HearsightError(f"The ear or the adapter is missing in {folder}: install again, or train them.")


def ears() -> Iterator[Line]:
    """The ears that can listen here, and where the weights of the others would go."""
    from studio.encoders import ENCODERS
    from studio.encoders._weights import installed, own_folder

    for name in ENCODERS:
        published = ENCODERS.get(name).published
        if published is None:
            yield name, "embedded"
        elif (folder := installed(name, published)) is not None:
            yield name, f"in {folder}"
        else:
            yield name, f"not here: {published.title} would go into {own_folder(name)}"


def real_models(network: bool) -> Iterator[Line]:
    """Models of the hub: what is here, whether more may be fetched, and, if asked, whether the hub answers."""
    from huggingface_hub import constants

    from studio.hub import ALLOW_DOWNLOAD, download_allowed

    cache = Path(constants.HF_HUB_CACHE)
    here = sorted(path.name.removeprefix("models--").replace("--", "/") for path in cache.glob("models--*"))
    yield "on this disk", ", ".join(here) or f"none in {cache}"
    yield "downloads", f"{'allowed' if download_allowed() else 'not allowed'} ({ALLOW_DOWNLOAD}=1 allows them)"
    if not network:
        yield "hub", "not tried; --network tries it"
        return
    host = constants.ENDPOINT.split("//")[-1].split("/")[0].split(":")[0]
    try:
        socket.create_connection((host, 443), timeout=5).close()
        yield "hub", f"{host} answers"
    except OSError as error:
        yield "hub", f"{host} cannot be reached ({error}); local folders still work as --model"


def app() -> Iterator[Line]:
    """Whether the app's usual port is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
            yield "port", f"{PORT} is free"
        except OSError as error:
            yield "port", f"{PORT} is taken ({error.strerror}); the app then takes the next free one"


def app_limits() -> Iterator[Line]:
    """What the app gives to each request, by the variable that sets it."""
    yield from described()


def _recording() -> str:
    """Which microphones `hearsight record` and the page's "Record here" could use, or why none."""
    from studio.sound.record import devices

    try:
        found = devices()
    except HearsightError as error:
        return f"{error} Only recording outside the browser needs it."
    return f"present, {len(found)} input device{'' if len(found) == 1 else 's'}" + (
        f", {found[0].name} first" if found else ""
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or "unknown processor"


def _memory() -> tuple[int, int]:
    """Total and available memory in bytes, 0 and 0 where the system does not say so in /proc/meminfo."""
    try:
        rows = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        return int(rows["MemTotal"].split()[0]) * 1024, int(rows["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        return 0, 0


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
