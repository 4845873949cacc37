"""hearsight train: train the embedded models, or your own of the same kind, from a folder of sounds and photos."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from studio.cli import COMMANDS
from studio.cli.base import Command
from studio.errors import InputError
from studio.training import MODELS


@COMMANDS.register("train")
class Train(Command):
    """Train a model from a data folder."""

    summary = "train a model from a folder of sounds and photos"
    details = (
        "models, in the order in which they need each other:\n"
        + "\n".join(f"  {name:<13} {what}" for name, what in MODELS.items())
        + "\n\nA run stops at any moment (Ctrl+C) and goes on with the same command. Its folder holds the options,\n"
        "the statistics, samples and the last checkpoint; the finished model is in its subfolder export/."
    )
    examples = """
        hearsight train pocket-vae --data sounds-and-photos
        hearsight train pocket-image --data sounds-and-photos --size 64
        hearsight train pocket-image --data sounds-and-photos --size 128 --init runs/pocket-image-64/export
        hearsight train ear --data sounds-and-photos --runs runs
        hearsight train adapter --data sounds-and-photos --init assets/adapters/word --minutes 5
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("model", choices=list(MODELS), metavar="MODEL", help=", ".join(MODELS))
        parser.add_argument("--data", type=Path, required=True, help="the data folder; the README describes its form")
        parser.add_argument("--runs", type=Path, default=Path("runs"), help="where run folders lie (default: runs)")
        parser.add_argument("--minutes", type=float, help="training time; the default is the model's own")
        parser.add_argument("--steps", type=int, help="training steps instead of minutes")
        parser.add_argument("--batch-size", type=int, help="samples a step; the default is the model's own")
        parser.add_argument("--learning-rate", type=float, help="its peak; the default is the model's own")
        parser.add_argument("--size", type=int, default=128, help="picture size in px for pocket-image and adapter")
        parser.add_argument("--init", type=Path, help="a finished model of the same kind to start from")
        parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
        parser.add_argument("--seed", type=int, default=0, help="another seed, another run")

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        if not arguments.data.is_dir():
            raise InputError(
                f"The data folder {arguments.data} is not there. Give a folder as the README describes it."
            )
        if not 32 <= arguments.size <= 1024 or arguments.size % 32:
            raise InputError(f"--size must be a multiple of 32 from 32 to 1024 px but is {arguments.size}.")
        if arguments.init is not None and not arguments.init.is_dir():
            raise InputError(f"--init {arguments.init} is not a folder. Give the folder of a finished model.")
        from studio.device import pick_device
        from studio.training.recipes import Work, run_training

        device = pick_device(arguments.device)
        print(f"{arguments.model} on {device.device}: {device.reason}", file=sys.stderr)
        wishes = {name: getattr(arguments, name) for name in ("minutes", "steps", "batch_size", "learning_rate")}
        changes = {name: value for name, value in wishes.items() if value is not None}
        work = Work(arguments.data, arguments.runs, str(device.device), arguments.size, arguments.init)
        scores = run_training(arguments.model, work, seed=arguments.seed, **changes)
        for name, value in scores.items():
            print(f"{name}: {value:.4f}")
        print(f"The model is in {work.folder(arguments.model) / 'export'}")
        return 0
