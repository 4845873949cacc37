"""Options that several commands share; bounds and help come from the recipe's own fields."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args

from studio.device import DeviceName
from studio.errors import InputError
from studio.fields import Setting, settings
from studio.presets import Template, load_templates, own_folder, own_templates
from studio.recipe import Edit, Recipe, Track

# flag, its metavar, the model it belongs to, the field
_FLAGS: dict[str, tuple[str, Setting]] = {
    "--prompt": ("TEXT", settings(Recipe)["prompt"]),
    "--negative-prompt": ("TEXT", settings(Recipe)["negative_prompt"]),
    "--seed": ("N", settings(Recipe)["seed"]),
    "--steps": ("N", settings(Recipe)["num_inference_steps"]),
    "--guidance": ("X", settings(Recipe)["guidance_scale"]),
    "--sound-strength": ("X", settings(Recipe)["sound_strength"]),
    "--count": ("N", settings(Recipe)["count"]),
    "--model": ("NAME", settings(Recipe)["model"]),
    "--adapter": ("NAME", settings(Recipe)["adapter"]),
    "--ear": ("NAME", settings(Recipe)["ear"]),
    "--top-k": ("N", settings(Recipe)["top_k"]),
    "--temperature": ("X", settings(Recipe)["temperature"]),
    "--concepts": ("WORDS", settings(Recipe)["concepts"]),
    "--gain": ("DB", settings(Track)["gain"]),
    "--start": ("S", settings(Track)["start"]),
    "--duration": ("S", settings(Track)["duration"]),
    "--pan": ("X", settings(Track)["pan"]),
    "--room": ("NAME", settings(Track)["room"]),
    "--join": ("HOW", settings(Recipe)["join"]),
    "--weights": ("W", settings(Recipe)["weights"]),
    "--method": ("NAME", settings(Edit)["method"]),
    "--source-prompt": ("TEXT", settings(Edit)["source_prompt"]),
    "--keep-layout": ("X", settings(Edit)["keep_layout"]),
    "--keep-detail": ("X", settings(Edit)["keep_detail"]),
    "--words": ("HOW", settings(Edit)["words"]),
    "--emphasis": ("X", settings(Edit)["emphasis"]),
    "--noise": ("X", settings(Edit)["noise"]),
    "--variation": ("X", settings(Edit)["variation"]),
}
PICTURE = ("--prompt", "--negative-prompt", "--seed", "--steps", "--guidance", "--sound-strength")
MODEL = ("--model", "--adapter", "--ear", "--top-k", "--temperature", "--concepts")


def add_settings(parser: argparse.ArgumentParser, *flags: str, several: bool = False) -> None:
    """Add options by their flag; each is stored under its field's name, None when it is not given.

    several: every option takes one value or more, and is stored as a list of them.
    """
    for flag in flags:
        metavar, field = _FLAGS[flag]
        parser.add_argument(
            flag,
            dest=field.name,
            metavar=metavar,
            type=_converter(flag, field, several),
            help=_help(field),
            default=None,
            nargs="+" if several else None,
        )


def add_size(parser: argparse.ArgumentParser) -> None:
    """Add --size: one number for a square picture, or WIDTHxHEIGHT."""
    width = settings(Recipe)["width"]
    parser.add_argument(
        "--size",
        metavar="PX|WxH",
        type=_size,
        help=f"256, or 384x256 (width x height): multiples of 8 from {width.minimum} to {width.maximum} px; "
        "default: the model's own",
    )


def add_template(parser: argparse.ArgumentParser) -> None:
    """Add --template: the name of a ready prompt."""
    parser.add_argument(
        "--template",
        metavar="NAME",
        type=_template,
        help="a ready prompt of the folder presets or of your own, e.g. style or painting; what else it sets, other "
        "options overrule",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device."""
    names = get_args(DeviceName)
    parser.add_argument("--device", choices=names, default="auto", help="where to compute; default: auto")


def recipe_from(arguments: argparse.Namespace, tracks: Iterable[Track] = ()) -> Recipe:
    """The recipe of a command's arguments; what was not given stays at the recipe's default."""
    given = vars(arguments)
    if given.get("template") is not None:
        if given.get("prompt") is not None:
            raise InputError("Give --prompt or --template, not both: a template is a ready prompt.")
        given = given["template"].fields | {name: value for name, value in given.items() if value is not None}
    values: dict[str, Any] = {
        name: given[name] for name in settings(Recipe) if given.get(name) is not None and name in _RECIPE_FIELDS
    }
    if given.get("size") is not None:
        values["width"], values["height"] = given["size"]
    return Recipe(tracks=tuple(tracks), **values)


def picture_files(output: str, count: int = 1) -> list[Path]:
    """Where the pictures of one request go: OUT.png, OUT-2.png, OUT-3.png, ...

    Raises InputError, before any work is done, when they could not be written there.
    """
    target = Path(output).expanduser()
    if target.suffix.lower() != ".png":
        raise InputError(
            f"The picture must be a PNG, which can carry its recipe, but {output!r} does not end in .png."
        )
    files = [target, *(target.with_name(f"{target.stem}-{number}{target.suffix}") for number in range(2, count + 1))]
    try:
        for file in files:
            if file.is_dir():
                raise InputError(f"{str(file)!r} is a folder, but a picture is to be written there: give a file name.")
        check_folder(target.parent)
    except OSError as error:
        raise InputError(f"The picture cannot be written to {output!r} ({error.strerror}): choose another.") from None
    return files


def check_folder(folder: Path) -> None:
    """Raise InputError when files could not be written into a folder, which need not exist yet."""
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise InputError(f"{str(there)!r} is a file, so nothing can be written into {str(folder)!r}: choose another.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"You may not write into {str(there)!r}: choose another folder.")


# Width and height come from --size, or from a template.
_RECIPE_FIELDS = {"width", "height", *(field.name for _, field in _FLAGS.values())} & set(Recipe.model_fields)


def _converter(flag: str, field: Setting, several: bool) -> Callable[[str], Any]:
    """From the text of an option to its value; outside the bounds: one sentence with the rule and the value."""

    def remedy(text: str, usual: str) -> str:
        # An option of several values takes all that follows it, and so may get a sound.
        return ": name the sounds before the options" if several and os.path.exists(text) else f": {usual}"

    if field.choices:

        def choose(text: str) -> str:
            if text not in field.choices:
                rule = f"one of {', '.join(field.choices)}"
                raise InputError(f"{flag} must be {rule}, but {text!r} was given{remedy(text, 'choose one of them')}.")
            return text

        return choose
    if field.kind is str:
        return str
    low, high = field.minimum, field.maximum

    def convert(text: str) -> Any:
        try:
            value = field.kind(text)
            if low is not None and high is not None and not low <= value <= high:  # also true for NaN
                raise ValueError
        except ValueError:
            raise InputError(
                f"{flag} must be {_rule(field)}, but {text!r} was given{remedy(text, 'choose one in that range')}."
            ) from None
        return value

    return convert


def _rule(field: Setting) -> str:
    kind = "a whole number" if field.kind is int else "a number"
    return f"{kind} from {_bounds(field)}" if _bounds(field) else kind


def _help(field: Setting) -> str:
    text = field.help.rstrip(".").replace("; empty =", "; default:").replace(", empty =", ", default:")
    bounds = f" ({_bounds(field)})" if _bounds(field) else ""
    default = "" if field.default is None or "default:" in text else f"; default: {_plain(field.default)}"
    return f"{text[:1].lower()}{text[1:]}{bounds}{default}".replace("%", "%%")


def _bounds(field: Setting) -> str:
    """'1 to 100 px', the choices, or nothing for a field without both bounds."""
    if field.choices:
        return ", ".join(field.choices)
    if field.minimum is None or field.maximum is None:
        return ""
    return f"{_plain(field.minimum)} to {_plain(field.maximum)}{f' {field.unit}' if field.unit else ''}"


def _plain(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _size(text: str) -> tuple[int, int]:
    field = settings(Recipe)["width"]
    low, high = int(field.minimum or 0), int(field.maximum or 0)
    parts = text.lower().split("x")
    try:
        width, height = (int(part) for part in (parts if len(parts) == 2 else parts * 2))
    except ValueError:
        raise InputError(f"--size must look like 256 or 384x256, but {text!r} was given.") from None
    for value in (width, height):
        if not low <= value <= high or value % 8:
            raise InputError(f"--size must be multiples of 8 from {low} to {high} px, but {text!r} was given.")
    return width, height


def _template(name: str) -> Template:
    known = {template.id: template for template in (*own_templates(own_folder()), *load_templates())}
    if name not in known:
        raise InputError(f"There is no template {name!r}. Use one of: {', '.join(known)}.")
    return known[name]
