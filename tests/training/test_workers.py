"""Training in several processes: as one that takes the same batches in turn."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from studio.training.loop import train
from studio.training.workers import Workers
from tests.training.test_loop import OPTIONS, Line, weights

ONE_OF_TWO = """
import sys
from dataclasses import replace
from pathlib import Path
from studio.training.loop import train
from tests.training.test_loop import OPTIONS, Line
scores = train(Line(), Path(sys.argv[1]), replace(OPTIONS, steps=12, batch_size=4))
print(len(scores))
"""


def start(rank: int, run: Path, port: int) -> subprocess.Popen[str]:
    """One process as `accelerate launch --cpu --num_processes 2` starts it."""
    there = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true"}
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", ONE_OF_TWO, str(run)],
        env=os.environ | there | where,
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_processes_do_what_one_does_with_both_batches(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = [start(rank, tmp_path / "two", port) for rank in range(2)]
    said = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert [out.strip()[-1] for out, _ in said] == ["1", "0"]  # the first one alone scores and writes
    from dataclasses import replace

    train(Line(), tmp_path / "one", replace(OPTIONS, steps=12, batch_size=4, accumulate=2))
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        torch.testing.assert_close(two[name], one[name])
    saved = torch.load(tmp_path / "two" / "checkpoint.pt", weights_only=True)
    assert saved["step"] == 12
    assert len((tmp_path / "two" / "stats.jsonl").read_text().splitlines()) == 1
    # It goes on with another number of processes.
    assert train(Line(), tmp_path / "two", replace(OPTIONS, steps=120, batch_size=8))["slope"] == pytest.approx(
        3, abs=0.2
    )
    assert json.loads((tmp_path / "two" / "options.json").read_text())["loop"]["steps"] == 120


def test_alone_nothing_is_joined() -> None:
    workers = Workers()
    assert (workers.rank, workers.count, workers.first) == (0, 1, True)
    assert workers.agreed(0.1, "cpu") == 0.1
    layer = torch.nn.Linear(1, 1)
    workers.average_gradients(layer.parameters())
    assert layer.weight.grad is None
    workers.wait()
