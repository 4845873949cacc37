"""hearsight train: train the embedded models, or your own of the same kind, from a folder of sounds and photos."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from studio.cli import COMMANDS
from studio.cli.base import Command
from studio.errors import InputError
from studio.training import ADAPTER_KINDS, EMBEDDED_KINDS, MODELS

WISHES = ("minutes", "steps", "batch_size", "accumulate", "learning_rate")


@COMMANDS.register("train")
class Train(Command):
    """Train a model from a data folder."""

    summary = "train a model from a folder of sounds and photos"
    details = (
        "models, in the order in which they need each other:\n"
        + "\n".join(f"  {name:<13} {what}" for name, what in MODELS.items())
        + "\n\nAn adapter also trains on a folder of pairs, sounds/NAME.ogg and images/NAME.png, with labels.json\n"
        'and captions.json ({"NAME": "rain"}) beside them or not, for any image model (--model) and ear (--ear):\n'
        + "\n".join(f"  {name:<13} {what}" for name, what in ADAPTER_KINDS.items())
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
        hearsight train adapter --kind word --data pairs --model ~/models/sd-1.5 --ear clap
        hearsight train adapter --kind context --data pairs --model ~/models/PixArt-XL-2-512x512 --steps 20000
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("model", choices=list(MODELS), metavar="MODEL", help=", ".join(MODELS))
        parser.add_argument(
            "--kind",
            choices=list(ADAPTER_KINDS),
            help=f"of the adapter: {', '.join(ADAPTER_KINDS)}; default: word",
        )
        parser.add_argument(
            "--model", dest="image_model", metavar="NAME", help="pairs only: the image model; default: pocket"
        )
        parser.add_argument(
            "--ear", metavar="NAME", help="pairs only: what listens; default: the kind's published one"
        )
        parser.add_argument("--vectors", type=int, default=1, help="pairs only: vectors of a word (default: 1)")
        parser.add_argument("--data", type=Path, required=True, help="the data folder; the README describes its form")
        parser.add_argument("--runs", type=Path, default=Path("runs"), help="where run folders lie (default: runs)")
        parser.add_argument("--minutes", type=float, help="training time; the default is the model's own")
        parser.add_argument("--steps", type=int, help="training steps instead of minutes")
        parser.add_argument("--batch-size", type=int, help="samples a step; the default is the model's own")
        parser.add_argument("--accumulate", type=int, help="batches that make up one step (default: 1)")
        parser.add_argument("--learning-rate", type=float, help="its peak; the default is the model's own")
        parser.add_argument(
            "--size",
            type=int,
            nargs="+",
            metavar="PX",
            help="picture size; default: 128, with --model its own; pocket-image trains at several at once",
        )
        start = "a finished model of the same kind to start from; for pocket-fast the image model that it learns from"
        parser.add_argument("--init", type=Path, help=start)
        parser.add_argument(
            "--favour",
            nargs="+",
            default=(),
            metavar="NAME",
            help="photos that make up half of what pocket-image sees",
        )
        parser.add_argument(
            "--brief", action="store_true", help="the ear: learn from pieces of up to a second, to join in a vote"
        )
        parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
        parser.add_argument("--seed", type=int, default=0, help="another seed, another run")

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        if not arguments.data.is_dir():
            raise InputError(
                f"The data folder {arguments.data} is not there. Give a folder as the README describes it."
            )
        sizes: list[int] = sorted(set(arguments.size or ()))
        if wrong := [size for size in sizes if not 32 <= size <= 1024 or size % 32]:
            raise InputError(f"--size must be a multiple of 32 from 32 to 1024 px but is {wrong[0]}.")
        if len(sizes) > 1 and arguments.model != "pocket-image":
            raise InputError(f"Several sizes are for pocket-image only; {arguments.model} takes one --size.")
        if arguments.init is not None and not arguments.init.is_dir():
            raise InputError(f"--init {arguments.init} is not a folder. Give the folder of a finished model.")
        if arguments.kind is not None and arguments.model != "adapter":
            raise InputError(f"--kind is for adapters only, and {arguments.model} is none: leave it out.")
        if arguments.favour and arguments.model != "pocket-image":
            raise InputError(f"--favour is for pocket-image only; {arguments.model} draws evenly: leave it out.")
        if arguments.brief and arguments.model != "ear":
            raise InputError(f"--brief is for the ear only, and {arguments.model} does not listen: leave it out.")
        asked = arguments.image_model or arguments.ear or arguments.vectors != 1
        if asked and arguments.model != "adapter":
            raise InputError(
                f"--model, --ear and --vectors are for adapters only, and {arguments.model} is none: leave them out."
            )
        if not 1 <= arguments.vectors <= 16:
            raise InputError(f"--vectors must be from 1 to 16 but is {arguments.vectors}.")
        kind = arguments.kind or "word"
        on_pairs = arguments.model == "adapter" and _on_pairs(arguments, kind)
        name = arguments.model if arguments.model != "adapter" else f"adapter {kind}"
        wishes = {name: getattr(arguments, name) for name in WISHES}
        changes = {name: value for name, value in wishes.items() if value is not None} | {"seed": arguments.seed}
        from studio.device import pick_device

        device = pick_device(arguments.device)
        print(f"{name} on {device.device}: {device.reason}", file=sys.stderr)
        if on_pairs:
            from studio.training.pair_recipes import PairWork, train_on_pairs

            image_model = arguments.image_model or "pocket"
            pairs = PairWork(
                arguments.data, arguments.runs, image_model, arguments.ear, arguments.device,
                sizes[0] if sizes else None, arguments.vectors, arguments.init,
            )  # fmt: skip
            folder = pairs.folder(kind)
            scores = train_on_pairs(kind, pairs, **changes)
        else:
            from studio.training.recipes import Work, run_training

            recipe = EMBEDDED_KINDS[kind] if arguments.model == "adapter" else arguments.model
            work = Work(
                arguments.data,
                arguments.runs,
                str(device.device),
                tuple(sizes) or (128,),
                arguments.init,
                tuple(arguments.favour),
                arguments.brief,
            )
            folder = work.folder(recipe)
            scores = run_training(recipe, work, **changes)
        for score, value in scores.items():
            print(f"{score}: {value:.4f}")
        print(f"The model is in {folder / 'export'}")
        return 0


def _on_pairs(arguments: argparse.Namespace, kind: str) -> bool:
    """Whether the data is a folder of pairs. Raises InputError for what only such a folder can be asked."""
    if (arguments.data / "images").is_dir():
        return True
    if not (arguments.data / "sounds").is_dir() or arguments.image_model or arguments.ear or arguments.vectors != 1:
        raise InputError(
            f"The folder {arguments.data.name!r} holds no pairs: put sounds into its folder 'sounds' and pictures of "
            "the same names into 'images'."
        )
    if kind not in EMBEDDED_KINDS:
        raise InputError(
            f"An adapter {kind!r} trains on a folder of pairs (sounds/NAME.ogg, images/NAME.png), which "
            f"{arguments.data.name!r} is not."
        )
    return False
