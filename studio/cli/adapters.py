"""`hearsight adapters`: which adapters are here, and published files turned into one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from studio.cli import COMMANDS
from studio.cli._options import check_folder
from studio.cli.base import Command
from studio.errors import InputError


@COMMANDS.register("adapters")
class AdaptersCommand(Command):
    """Say which adapters are here, and import published ones."""

    summary = "list the adapters that are here, import published ones"
    details = (
        "An adapter is how a sound enters an image model (--adapter NAME, or its folder). list says of each whether\n"
        "it can be used now, which ear it reads, and what is missing; adapters of your own are the folders in\n"
        "`adapters` of your data folder, and are used by their names.\n\n"
        "import reads published files (.bin, .pt, .pth) without running anything in them, checks the name and shape\n"
        "of every weight, and writes safetensors, config.json and a card into a new folder. It knows:\n"
        "  AudioToken       embedder_learned_embeds.bin, optionally with lora_layers_learned_embeds.bin\n"
        "  SonicDiffusion   landscape.pt with audio_projector_landscape.pth,\n"
        "                   greatest_hits.pt with audio_projector_gh.pth"
    )
    examples = """
        hearsight adapters list
        hearsight adapters list --json
        hearsight adapters import landscape.pt audio_projector_landscape.pth -o landscape
        hearsight adapters import embedder_learned_embeds.bin lora_layers_learned_embeds.bin -o audiotoken
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The two actions, each with its own arguments."""
        actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
        listing = actions.add_parser("list", help="say which adapters can be used here")
        listing.add_argument("--json", action="store_true", help="print JSON")
        importing = actions.add_parser("import", help="turn published files into an adapter's folder")
        importing.add_argument("files", metavar="FILE", nargs="+", help="published files of one adapter")
        importing.add_argument("-o", "--output", metavar="FOLDER", required=True, help="a new folder for it")
        for action in (listing, importing):
            action.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Do the action."""
        if arguments.action == "import":
            folder = Path(arguments.output).expanduser()
            try:
                check_folder(folder.parent)
            except OSError as error:
                raise InputError(
                    f"The adapter cannot be written to {arguments.output!r} ({error.strerror})."
                ) from None
            from studio.adapters._importing import import_adapter

            print(import_adapter([Path(file).expanduser() for file in arguments.files], folder))
            print(folder)
            return 0
        from studio.adapters._shelf import shelf

        found = shelf()
        if arguments.json:
            print(json.dumps([vars(one) for one in found], ensure_ascii=False))
            return 0
        width = max(len(one.name) for one in found)
        for one in found:
            print(f"{one.name:<{width}}  {one.about}")
            print(f"{'':<{width}}  {'ready' if one.ready else 'not ready'}: {one.state}")
        return 0
