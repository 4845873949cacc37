"""`hearsight gallery`: find, look up and copy the pictures that the app has kept."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studio.cli import COMMANDS
from studio.cli._options import check_folder
from studio.cli.base import Command
from studio.errors import InputError
from studio.paths import pictures_folder

if TYPE_CHECKING:
    from studio.library.entries import Entry
    from studio.library.gallery import Gallery


@COMMANDS.register("gallery")
class GalleryCommand(Command):
    """Find, look up and copy the pictures of the gallery."""

    summary = "find, look up and copy pictures that were made before"
    details = (
        "The gallery is the folder where the app keeps its pictures; --folder names another one, such as the output\n"
        "of hearsight batch. PNGs that carry a recipe are listed, newest first, subfolders are left alone. An index\n"
        "(.gallery.sqlite3) is kept in the folder; it is made anew when it is missing or damaged.\n\n"
        "list prints one picture a line; with --json an array of objects with name, path, made, prompt, sounds,\n"
        "heard, seed, model, width, height, favourite. show prints one of them, with --json its whole recipe too.\n"
        "export copies pictures, recipe included, and prints the copies' paths."
    )
    examples = """
        hearsight gallery list
        hearsight gallery list --search "street night" --since 2026-08-01 --json
        hearsight gallery list --sound rain --favourites
        hearsight gallery show 20260831-120000-000000-7.png
        hearsight gallery export 20260831-120000-000000-7.png -o ~/Desktop
    """

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """The three actions, each with its own arguments."""
        actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
        listing = actions.add_parser("list", help="list pictures, newest first")
        listing.add_argument(
            "--search", metavar="WORDS", default="", help="in the prompt, the sound's name, the heard"
        )
        listing.add_argument("--sound", metavar="NAME", default="", help="in the sound's name")
        listing.add_argument("--since", metavar="DATE", type=_day("--since"), help="the first day, as 2026-08-31")
        listing.add_argument("--until", metavar="DATE", type=_day("--until"), help="the last day, included")
        listing.add_argument("--favourites", action="store_true", help="favourites only")
        showing = actions.add_parser("show", help="say how a picture was made")
        showing.add_argument("name", metavar="NAME", help="its file name")
        for action in (listing, showing):
            action.add_argument("--json", action="store_true", help="print JSON")
        copying = actions.add_parser("export", help="copy pictures to a folder")
        copying.add_argument("names", metavar="NAME", nargs="+", help="their file names")
        copying.add_argument("-o", "--output", metavar="FOLDER", required=True, help="where the copies go")
        for action in (listing, showing, copying):
            action.add_argument("--folder", metavar="FOLDER", help="default: the app's pictures")
            action.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)

    @classmethod
    def run(cls, arguments: argparse.Namespace) -> int:
        """Open the gallery, bring its index up to date, do the action."""
        from studio.library.gallery import Gallery

        folder = Path(arguments.folder).expanduser() if arguments.folder is not None else pictures_folder()
        if not folder.is_dir() and (arguments.folder is not None or folder.exists()):
            what = "is a file" if folder.exists() else "does not exist"
            raise InputError(f"A folder with pictures is needed, but {str(folder)!r} {what}: name a folder.")
        gallery = Gallery(folder)
        gallery.refresh()
        actions = {"list": _list, "show": _show, "export": _export}
        actions[arguments.action](gallery, arguments)
        return 0


def _list(gallery: Gallery, arguments: argparse.Namespace) -> None:
    from studio.library.entries import Wanted

    wanted = Wanted(
        words=arguments.search,
        sound=arguments.sound,
        since=arguments.since,
        until=arguments.until,
        favourites=arguments.favourites,
    )
    entries = gallery.page(wanted, size=0).entries
    if arguments.json:
        print(json.dumps([as_json(gallery, entry) for entry in entries], ensure_ascii=False))
        return
    for entry in entries:
        print(as_line(entry))
    if not entries:
        nothing = "There are no pictures" if wanted == Wanted() else "No picture fits"
        print(f"{nothing} in {gallery.folder}.", file=sys.stderr)


def _show(gallery: Gallery, arguments: argparse.Namespace) -> None:
    from studio.library.png import read_recipe

    entry = _entry(gallery, arguments.name)
    recipe = read_recipe(gallery.folder / entry.name)
    if arguments.json:
        whole = as_json(gallery, entry) | {"recipe": recipe.model_dump(mode="json")}
        print(json.dumps(whole, ensure_ascii=False))
        return
    facts = {
        "picture": gallery.folder / entry.name,
        "made": f"{entry.made:%Y-%m-%d %H:%M:%S}",
        "prompt": _plain(entry.prompt),
        "avoid": _plain(recipe.negative_prompt or ""),
        "sound": ", ".join(map(_plain, entry.sounds)),
        "heard": ", ".join(f"{_plain(label).replace('_', ' ')} {share:.0%}" for label, share in entry.heard),
        "seed": entry.seed,
        "steps": recipe.num_inference_steps,
        "guidance": recipe.guidance_scale,
        "size": f"{entry.width} x {entry.height} px",
        "model": entry.model,
        "favourite": "yes" if entry.favourite else "no",
    }
    for name, value in facts.items():
        if value not in (None, ""):
            print(f"{name:<10} {value}")


def _export(gallery: Gallery, arguments: argparse.Namespace) -> None:
    from studio.library.gallery import check_export, export

    entries = [_entry(gallery, name) for name in dict.fromkeys(arguments.names)]
    folder = Path(arguments.output).expanduser()
    check_folder(folder)
    sources = [gallery.folder / entry.name for entry in entries]
    for source in sources:  # all of them before the first is written
        check_export(source, folder)
    for source in sources:
        print(export(source, folder))


def as_json(gallery: Gallery, entry: Entry) -> dict[str, Any]:
    """An entry for programs: made in local time as ISO 8601, width and height in px, probabilities in 0..1."""
    return {
        "name": entry.name,
        "path": str((gallery.folder / entry.name).absolute()),
        "made": entry.made.isoformat(timespec="seconds"),
        "prompt": entry.prompt,
        "sounds": list(entry.sounds),
        "heard": [{"label": label, "probability": share} for label, share in entry.heard],
        "seed": entry.seed,
        "model": entry.model,
        "width": entry.width,
        "height": entry.height,
        "favourite": entry.favourite,
    }


def as_line(entry: Entry) -> str:
    """An entry for people: name, time, a star for favourites, prompt, sounds."""
    star = "*" if entry.favourite else " "
    sounds = f"  ({', '.join(map(_plain, entry.sounds))})" if entry.sounds else ""
    return f"{_plain(entry.name)}  {entry.made:%Y-%m-%d %H:%M}  {star} {_plain(entry.prompt)}{sounds}"


def _entry(gallery: Gallery, name: str) -> Entry:
    entry = gallery.get(name)
    if entry is None:
        raise InputError(
            f"There is no picture {name!r} in the gallery {str(gallery.folder)!r}: hearsight gallery list names them."
        )
    return entry


def _plain(text: str) -> str:
    """One line without control signs: names and prompts come from files, and could change what a terminal shows."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _day(flag: str) -> Callable[[str], date]:
    def convert(text: str) -> date:
        from studio.library.entries import day

        return day(text, flag)

    return convert
