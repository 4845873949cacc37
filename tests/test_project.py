"""The project's own files hold together: what is declared is used, what is made is fresh, what is shipped fits."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from tests.requirements_txt import requirements

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOP_LEVEL = {
    ".ci", ".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "app.py", "assets", "benchmarks",
    "presets", "pyproject.toml", "requirements.txt", "studio", "tests",
}  # fmt: skip
IMPORT_NAMES = {"pillow": "PIL"}  # where it is not the distribution's
MB = 1_000_000


def _tracked() -> list[Path]:
    """Every file that git would keep, committed or not."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def _names(dependencies: list[str]) -> set[str]:
    return {re.split(r"[<>=!~\[; ]", dependency)[0] for dependency in dependencies}


def _imported() -> set[str]:
    """The top-level names that the program imports, wherever in a file, without Python's own."""
    found: set[str] = set()
    for path in [ROOT / "app.py", *(ROOT / "studio").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"studio"}


def _space_header() -> dict[str, str]:
    """The one-line entries of the README's YAML header."""
    header = README.split("---\n")[1]
    rows = (line.split(": ", 1) for line in header.splitlines() if ": " in line)
    return {name: value.strip().strip('"') for name, value in rows}


def test_dependencies_are_what_is_imported() -> None:
    declared = {IMPORT_NAMES.get(name, name).replace("-", "_") for name in _names(PROJECT["project"]["dependencies"])}
    assert declared == _imported()


def test_requirements_txt_is_fresh() -> None:
    assert (ROOT / "requirements.txt").read_text(encoding="utf-8") == requirements(), "run make requirements"


def test_the_header_of_a_space() -> None:
    assert README.startswith("---\n")
    header = _space_header()
    assert (header["sdk"], header["app_file"], header["license"]) == ("gradio", "app.py", "apache-2.0")
    assert len(header["short_description"]) <= 60  # the hub's own limit
    assert tuple(map(int, header["python_version"].split("."))) >= (3, 11)
    # A Space installs sdk_version first; our lower bound must be the same, or its build fails.
    bounds = next(one for one in PROJECT["project"]["dependencies"] if one.startswith("gradio>="))
    assert bounds.removeprefix("gradio>=").split(",")[0] == header["sdk_version"]


def test_the_program_is_installed() -> None:
    assert PROJECT["project"]["scripts"] == {"hearsight": "studio.cli:main"}
    (script,) = entry_points(group="console_scripts", name="hearsight")
    from studio.cli import main

    assert script.load() is main


def test_licence() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "research and personal use" in README


def test_changelog_knows_the_version() -> None:
    from studio import __version__

    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in changelog or f"## [{__version__}]" in changelog


def test_top_level_is_fixed() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in _tracked()} <= TOP_LEVEL


def test_sizes() -> None:
    sizes = {path: path.stat().st_size for path in _tracked()}
    assert {path.name: size for path, size in sizes.items() if size >= 95 * MB} == {}
    assert sum(sizes.values()) < 250 * MB
    assert sum(size for path, size in sizes.items() if path.is_relative_to(ROOT / "assets")) < 150 * MB


def test_every_asset_has_its_origin() -> None:
    """Each folder of assets is in its README, each starter sound in its credits."""
    card = (ROOT / "assets" / "README.md").read_text(encoding="utf-8")
    names = {path.relative_to(ROOT / "assets").parts for path in _tracked() if path.is_relative_to(ROOT / "assets")}
    missing = {parts[0] for parts in names if len(parts) > 1 and f"`{parts[0]}/" not in card}
    assert not missing, f"assets/README.md says nothing about {sorted(missing)}"
    credits = json.loads((ROOT / "assets" / "sounds" / "credits.json").read_text(encoding="utf-8"))
    sounds = {path.name for path in (ROOT / "assets" / "sounds").glob("*.ogg")}
    assert {entry["name"] for entry in credits} == sounds
    assert all(entry["licence"] and entry["author"] and entry["source"] for entry in credits)


def test_no_path_of_one_machine() -> None:
    private = re.compile(rb"(^|[^A-Za-z0-9_])/(root|work|farm|tmp/(data|venv))(/|$)", re.MULTILINE)
    text = {".py", ".md", ".toml", ".txt", ".json", ".css", ".html", ".svg", ""}
    found = [path for path in _tracked() if path.suffix in text and private.search(path.read_bytes())]
    assert [str(path.relative_to(ROOT)) for path in found] == []


@pytest.mark.parametrize("command", ["make run", "make test"])
def test_readme_names_the_two_commands(command: str) -> None:
    assert command in README


def test_every_command_of_the_readme_is_understood() -> None:
    import shlex

    from studio.cli import build_parser

    lines = [line.split("  #")[0] for line in README.splitlines() if line.startswith("hearsight ")]
    assert len(lines) >= 10
    for line in lines:
        build_parser().parse_args(shlex.split(line)[1:])


def test_every_folder_of_the_tree_is_there() -> None:
    tree = README.split("## What is where")[1].split("```")[1]
    for name in re.findall(r"\b([a-z_]+/|[a-z_]+\.(?:py|toml|txt)|Makefile)(?=\s)", tree):
        assert any((ROOT / folder / name).exists() for folder in ("", "studio")), name


def test_what_runs_in_ci_is_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "exec make test" in script.read_text(encoding="utf-8")


def test_the_readme_names_every_checkpoint_that_nobody_has_run() -> None:
    from studio.adapters.audiotoken import EMBEDDER_FILE, LORA_FILE
    from studio.backbones._known import KNOWN
    from studio.encoders import ENCODERS

    said = README.split("### Real checkpoints that nobody has run yet")[1].split("\n## ")[0]
    models = [one.title.removesuffix(" (few steps)").removeprefix("Stable Diffusion ") for one in KNOWN]
    adapters = [EMBEDDER_FILE, LORA_FILE, "landscape.pt", "greatest_hits.pt"]
    assert [name for name in (*models, *adapters) if name not in said] == []
    ears = [kind.published for kind in map(ENCODERS.get, ENCODERS.names()) if kind.published is not None]
    assert [ear.title for ear in ears if ear.files[0] not in said and str(ear.repository) not in said] == []
