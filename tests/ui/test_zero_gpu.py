"""A Space that lends its card: what is asked for, and drawing in a forked process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from studio.recipe import Edit, Recipe
from studio.ui.zero_gpu import LONGEST, seconds_needed


def test_drawing_in_a_forked_process() -> None:
    file = Path(__file__).with_name("zero_gpu_forks.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(file)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        cwd=file.parents[2],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def test_the_time_asked_for_grows_with_the_work() -> None:
    small = seconds_needed(Recipe(width=256, height=256, num_inference_steps=20))
    large = seconds_needed(Recipe(width=512, height=512, num_inference_steps=20))
    edit = seconds_needed(Recipe(width=512, height=512, num_inference_steps=20, edit=Edit(name="a.jpg")))
    assert 10 < small < large < edit < LONGEST
    assert seconds_needed(Recipe()) == large  # what is open counts as 512 px and 20 steps
    assert seconds_needed(Recipe(width=1024, height=1024, num_inference_steps=100, count=8)) == LONGEST
