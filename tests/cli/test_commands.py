"""What holds for every command, and for the program around them."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.cli import COMMANDS, build_parser
from studio.errors import HearsightError
from tests.cli.conftest import Done


@pytest.fixture(params=COMMANDS.names())
def command(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_commands_of_the_first_version_are_there() -> None:
    assert {"hear", "generate", "batch", "remake", "doctor", "app", "gallery", "train", "evaluate"} <= set(COMMANDS)


def test_help_has_examples(command: str, hearsight: Callable[..., Done]) -> None:
    done = hearsight(command, "--help")
    assert done.code == 0
    assert COMMANDS.get(command).summary in done.output
    assert f"examples:\n  hearsight {command}" in done.output
    assert all(len(line) <= 120 for line in done.output.splitlines())


def test_examples_are_commands(command: str) -> None:
    for line in COMMANDS.get(command).examples.strip().splitlines():
        program, *arguments = shlex.split(line)
        assert program == "hearsight"
        assert build_parser().parse_args(arguments).command == command


def test_help_names_every_command(hearsight: Callable[..., Done]) -> None:
    done = hearsight("--help")
    assert done.code == 0
    assert all(COMMANDS.get(name).summary in done.output for name in COMMANDS)


def test_version(hearsight: Callable[..., Done]) -> None:
    assert hearsight("--version").output.startswith("hearsight 0.")


def test_help_imports_nothing_heavy() -> None:
    heavy = {"torch", "torchaudio", "diffusers", "transformers", "gradio", "scipy", "av"}
    program = f"import sys; from studio.cli import main; main(['--help']); sys.exit(str({heavy!r} & set(sys.modules)))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root)
    assert done.stderr.strip() == "set()"


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (RuntimeError("the cable\nis loose"), 1, "not your fault: the cable. The details are in "),
        (HearsightError("The model is damaged. Install again."), 1, "The model is damaged. Install again."),
        (MemoryError(), 1, "not your fault: MemoryError. The details are in "),
        (KeyboardInterrupt(), 130, "Stopped."),
    ],
)
def test_what_is_not_the_users_fault(
    error: BaseException,
    code: int,
    words: str,
    hearsight: Callable[..., Done],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def fail(arguments: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(COMMANDS.get("doctor"), "run", fail)
    done = hearsight("doctor")
    assert (done.code, done.output) == (code, "")
    assert words in done.error
    assert "\n" not in done.error
    if "details" in words:
        report = Path(done.error.split("The details are in ")[1].split(";")[0])
        assert type(error).__name__ in report.read_text(encoding="utf-8")


def test_debug_shows_where_it_happened(hearsight: Callable[..., Done]) -> None:
    done = hearsight("hear", "nothing.wav", "--debug")
    assert done.code == 2
    assert "Traceback" in done.error
    assert done.error.splitlines()[-1].startswith('"nothing.wav" does not exist')
