"""The report on the embedded models: every metric, on recordings and photos they never saw.

Pictures are scored by the project's own classifier. Its accuracy on held-out real photos is the yardstick: a ratio of
1 means that generated pictures are recognised as often as the photos are. Picture scores are means over classes, so
that a class of three photos counts as much as one of ninety.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from studio.evaluation import METRICS
from studio.evaluation.bench import Bench, Counts
from studio.evaluation.sheets import save_sheet
from studio.models import adapter_kind


def evaluate_pocket(
    data: Path,
    cache: Path,
    out: Path,
    *,
    model: str = "pocket",
    counts: Counts | None = None,
    parts: Sequence[str] = (),
    adapters: Sequence[str] = ("word",),
) -> dict[str, Any]:
    """Score the embedded models; writes ``scores.json`` and the sheets into `out` and returns what it wrote.

    model: the image model that draws, by name or folder; ear, adapter and classifier are the embedded ones.
    parts: names of metrics, none = all; in either case they run in the order of their names, which changes no score.
    adapters: whose pictures are scored, by name or folder; "sounds" compares all of them, the rest takes the first.
    Its "seconds" count a picture for the first metric that asked for it.
    Raises InputError for a part that is not there, and when data or models are missing.
    """
    metrics = {name: METRICS.get(name) for name in sorted(set(parts or METRICS.names()))}
    for name in adapters:
        adapter_kind(name)  # before anything is written
    out.mkdir(parents=True, exist_ok=True)
    bench = Bench(data, cache, counts, model, adapters)
    report: dict[str, Any] = {"scores": [], "by_class": {}, "seconds": {}, "counts": asdict(bench.counts)}
    report["adapters"] = [Path(name).name for name in bench.adapters]
    for name, metric in metrics.items():
        began = time.monotonic()
        findings = metric(bench)
        # A yardstick that two metrics print is one line.
        report["scores"] += [line for line in map(asdict, findings.scores) if line not in report["scores"]]
        if findings.by_class:
            report["by_class"][name] = findings.by_class
        for file, page in findings.sheets.items():
            save_sheet(page, out / file)
        report["seconds"][name] = round(time.monotonic() - began, 1)
    report["model"] = bench.backbone.digest()
    (out / "scores.json").write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return report
