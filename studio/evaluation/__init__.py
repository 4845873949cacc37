"""Scores, one file a metric: what is measured, on what, and how to print it again.

A metric is a function Bench -> Findings that registers itself under the name of its part; `hearsight evaluate` runs
them all, or those that `--only` names. Adding a metric is adding a file here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from studio.registry import Registry

if TYPE_CHECKING:
    from studio.evaluation.bench import Bench
    from studio.evaluation.scores import Findings

METRICS: Registry[Callable[[Bench], Findings]] = Registry("metric", "studio.evaluation")
