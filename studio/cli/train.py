"""hearsight train: train the embedded models, or your own of the same kind, from a folder of sounds and photos."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from studio.cli import COMMANDS
from studio.cli.base import Command
from studio.errors import InputError
from studio.training import ADAPTER_KINDS, MODELS

WISHES = ("minutes", "steps", "batch_size", "accumulate", "learning_rate")


@COMMANDS.register("train")
class Train(Command):
    """Train a model from a data folder."""

    summary = "train a model from a folder of sounds and photos"
    details = (
        "models, in the order in which they need each other:\n"
        + "\n".join(f"  {name:<13} {what}" for name, what in MODELS.items())
        + "\n\nA run stops at any moment (Ctrl+C) and goes on with the same command. Its folder holds the options,\n"
        "the statistics, samples and the last checkpoint; the finished model is in its subfolder export/.\n\n"
        "Several GPUs: accelerate launch --num_processes 2 .venv/bin/hearsight train ...\n"
        "Each process draws --batch-size samples a step; a run goes on with another number of them."
    )
    examples = """
        hearsight train pocket-vae --data sounds-and-photos
        hearsight train pocket-image --data sounds-and-photos --size 64
        hearsight train pocket-image --data sounds-and-photos --size 128 --init runs/pocket-image-64/export
        hearsight train ear --data sounds-and-photos --runs runs
        hearsight train adapter --data sounds-and-photos --init assets/adapters/word --minutes 5
        hearsight train adapter --kind gated --data sounds-and-photos
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("model", choices=list(MODELS), metavar="MODEL", help=", ".join(MODELS))
        parser.add_argument(
            "--kind",
            choices=list(ADAPTER_KINDS),
            help="of the adapter: word (A*, the default) or gated (tokens beside the text)",
        )
        parser.add_argument("--data", type=Path, required=True, help="the data folder; the README describes its form")
        parser.add_argument("--runs", type=Path, default=Path("runs"), help="where run folders lie (default: runs)")
        parser.add_argument("--minutes", type=float, help="training time; the default is the model's own")
        parser.add_argument("--steps", type=int, help="training steps instead of minutes")
        parser.add_argument("--batch-size", type=int, help="samples a step; the default is the model's own")
        parser.add_argument("--accumulate", type=int, help="batches that make up one step (default: 1)")
        parser.add_argument("--learning-rate", type=float, help="its peak; the default is the model's own")
        parser.add_argument("--size", type=int, default=128, help="picture size in px for pocket-image and adapter")
        start = "a finished model of the same kind to start from; for pocket-fast the image model that it learns from"
        parser.add_argument("--init", type=Path, help=start)
        parser.add_argument(
            "--favour",
            nargs="+",
            default=(),
            metavar="NAME",
            help="photos that make up half of what pocket-image sees",
        )
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
        if arguments.kind is not None and arguments.model != "adapter":
            raise InputError(f"--kind is for adapters only, and {arguments.model} is none: leave it out.")
        if arguments.favour and arguments.model != "pocket-image":
            raise InputError(f"--favour is for pocket-image only; {arguments.model} draws evenly: leave it out.")
        name = ADAPTER_KINDS[arguments.kind or "word"] if arguments.model == "adapter" else arguments.model
        from studio.device import pick_device
        from studio.training.recipes import Work, run_training

        device = pick_device(arguments.device)
        print(f"{name} on {device.device}: {device.reason}", file=sys.stderr)
        wishes = {name: getattr(arguments, name) for name in WISHES}
        changes = {name: value for name, value in wishes.items() if value is not None}
        favour = tuple(arguments.favour)
        work = Work(arguments.data, arguments.runs, str(device.device), arguments.size, arguments.init, favour)
        scores = run_training(name, work, seed=arguments.seed, **changes)
        for score, value in scores.items():
            print(f"{score}: {value:.4f}")
        print(f"The model is in {work.folder(name) / 'export'}")
        return 0
