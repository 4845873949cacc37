"""Imports point one way, heavy libraries stay where they belong, and `import studio` costs nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STUDIO = ROOT / "studio"

# Lowest first. A module may import from its own layer's package and from the layers before it, never from later ones.
LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "",
        "errors",
        "fields",
        "word",
        "concepts",
        "paths",
        "hub",
        "registry",
        "recipe",
        "limits",
        "result",
        "device",
        "versions",
        "presets",
    ),
    ("sound",),
    ("data",),
    ("encoders",),
    ("backbones",),
    ("adapters",),
    ("diffusion",),
    ("editing",),
    ("scene", "hearing", "models", "engine"),
    ("library",),
    ("journey",),
    ("evaluation",),
    ("training",),
    ("ui",),
    ("cli",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
LIGHT = ("studio", *(f"studio.{name}" for name in LAYERS[0] if name), "studio.library.png", "studio.library.gallery")
LIGHT = (*LIGHT, "studio.journey.settings", "studio.journey.plan")
HEAVY = {"torch", "torchaudio", "transformers", "diffusers", "gradio", "librosa", "sounddevice", "scipy"}
SOURCES = sorted(STUDIO.rglob("*.py"))


def _layer(path: Path) -> str:
    """The part of the studio a file belongs to: its folder's name, or its own at the top."""
    parts = path.relative_to(STUDIO).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    """(dotted name, line) of everything a file imports, wherever in the file."""
    package = ["studio", *path.relative_to(STUDIO).parent.parts] if path.is_relative_to(STUDIO) else []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            if module == "studio":  # from studio import engine
                yield from ((f"studio.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield module, node.lineno


def test_every_part_has_a_layer() -> None:
    unknown = {_layer(path) for path in SOURCES} - set(RANK)
    assert not unknown, f"give {sorted(unknown)} a place in LAYERS"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(STUDIO)))
def test_imports_point_one_way(path: Path) -> None:
    mine = _layer(path)
    for name, line in _imports(path):
        parts = name.split(".")
        if parts[0] != "studio" or len(parts) == 1 or parts[1].startswith("__"):
            continue
        theirs = parts[1]
        same = theirs == mine or (RANK[theirs] == RANK[mine] and (STUDIO / f"{theirs}.py").exists())
        assert same or RANK[theirs] < RANK[mine], f"{path.name}:{line}: {mine or 'studio'} must not import {name}"


def test_gradio_only_in_the_app() -> None:
    users = {path for path in SOURCES if any(name.split(".")[0] == "gradio" for name, _ in _imports(path))}
    assert {_layer(path) for path in users} <= {"ui"}


def test_sounddevice_in_one_file_at_most() -> None:
    users = [path for path in SOURCES if any(name.split(".")[0] == "sounddevice" for name, _ in _imports(path))]
    assert len(users) <= 1


def test_the_kernel_is_light() -> None:
    program = f"import sys, {', '.join(LIGHT)}; print(' '.join(sorted({HEAVY!r} & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(STUDIO)))
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
