"""`hearsight models`: which image models are here, what others would need, and fetching one."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from studio.cli import COMMANDS
from studio.cli.base import Command
from studio.errors import InputError

if TYPE_CHECKING:
    from studio.backbones._shelf import ShelvedModel


@COMMANDS.register("models")
class ModelsCommand(Command):
    """Say which image models are here and which would fit, and download one."""

    summary = "list the image models that are here or known, download one"
    details = (
        "An image model draws (--model NAME, or its folder or file). list says of each where it is, what it would\n"
        "download, and whether and how it fits into the memory that is free now. Models of your own\n"
        "are the Diffusers folders and .safetensors files in `models` of your data folder (or of the folder that\n"
        "HEARSIGHT_MODELS names), and are used by their names. The network is not touched.\n\n"
        "download says how much it would fetch from the hub and asks; --yes answers beforehand."
    )
    examples = """
        hearsight models list
        hearsight models list --json
        hearsight models download stable-diffusion-v1-5/stable-diffusion-v1-5
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The two actions, each with its own arguments."""
        actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
        listing = actions.add_parser("list", help="say which image models can be used here")
        listing.add_argument("--json", action="store_true", help="print JSON")
        fetching = actions.add_parser("download", help="fetch a model of the hub, after a question")
        fetching.add_argument("name", metavar="NAME", help="as the list has it, or any owner/name of the hub")
        fetching.add_argument("--yes", action="store_true", help="do not ask")
        for action in (listing, fetching):
            action.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Do the action."""
        from studio.backbones._shelf import models
        from studio.device import pick_device

        if arguments.action == "download":
            return download(arguments.name, arguments.yes)
        found = models(pick_device("auto"))
        if arguments.json:
            print(json.dumps([as_json(one) for one in found], ensure_ascii=False))
            return 0
        for one in found:
            print(f"{one.name}\n    {about(one)}\n    {memory(one)}")
        return 0


def about(model: ShelvedModel) -> str:
    """What a model is and where: "Stable Diffusion 1.5, 512 px, not here: downloads about 5.5 GB"."""
    if model.lacks:
        return f"not ready: {model.lacks}"
    like = model.defaults
    title = [model.title] if model.title != model.name else []
    said = [*title, f"{like.side} px", f"{like.num_inference_steps} steps"]
    return f"{', '.join(said)}; {where(model)}"


def where(model: ShelvedModel) -> str:
    """Whether a model is here, and what is to be fetched when not."""
    if model.place == "embedded":
        return "embedded"
    if model.folder is None:
        return f"not here: downloads about {model.download / 1e9:.1f} GB"
    return f"in {model.folder}"


def memory(model: ShelvedModel) -> str:
    """How it fits into memory."""
    return f"{'fits' if model.fits else 'does not fit'}: {model.plan}" if model.plan else ""


def as_json(model: ShelvedModel) -> dict[str, object]:
    """A model's fields, without the figures that only previews need."""
    return vars(model) | {
        "defaults": model.defaults.model_dump(mode="json", exclude={"latent_rgb", "latent_rgb_bias"})
    }


def download(name: str, sure: bool) -> int:
    """Ask, and fetch. Raises InputError when nobody can answer, HearsightError when it cannot be fetched."""
    from studio.backbones._shelf import model_named
    from studio.backbones.hub import cached_model, model_folder
    from studio.device import pick_device

    if cached_model(name) is not None:
        print(f"{name} is on this machine already.")
        return 0
    known = model_named(name, pick_device("auto"))
    if known is not None and known.folder is not None:
        raise InputError(f"The model {name!r} is on this machine already: use it as --model {name}.")
    size = "an unknown amount" if known is None else f"about {known.download / 1e9:.1f} GB"
    if known is not None and not known.fits:
        print(f"Note: {memory(known)}", file=sys.stderr)
    if not sure:
        if not sys.stdin.isatty():
            raise InputError(f"This would download {size}. Add --yes to agree, as nobody can be asked here.")
        if input(f"Download {size} of {name} from the hub? [y/N] ").strip().lower() not in ("y", "yes"):
            print("Nothing was downloaded.")
            return 0
    print(model_folder(name, allow_download=True))
    return 0
