"""Pictures that carry their recipe: PNG text chunks "hearsight" (JSON) and "parameters" (a line other tools read).

Pictures of the gallery carry a third one, "hearsight-heard": what the ear heard, which no recipe holds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from studio.errors import InputError
from studio.recipe import RECIPE_CHUNK, Recipe

PARAMETERS_CHUNK = "parameters"
HEARD_CHUNK = "hearsight-heard"
HEARD_KEPT = 5

Heard = tuple[tuple[str, float], ...]


def save_png(
    image: Image.Image,
    recipe: Recipe,
    path: str | Path,
    heard: Sequence[tuple[str, float]] = (),
    more: Mapping[str, str] | None = None,
) -> Path:
    """Write a picture and its recipe, whole or not at all; folders are made as needed. Gives the path back.

    heard: (label, probability in 0..1), best first; the first five are kept, and none writes no such chunk.
    more: further text chunks by their keyword, in ASCII.
    The file is on the disk, not only on its way there, when this returns. Nothing local goes into it: no sound path,
    no folders. Raises InputError when the path cannot be written or does not end in .png.
    """
    target = Path(path).expanduser()
    if target.suffix.lower() != ".png":
        raise InputError(f"The picture's name must end in .png, where its recipe can be kept, not {target.name!r}.")
    public = recipe.public()
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text(RECIPE_CHUNK, public.to_json())
    chunks.add_text(PARAMETERS_CHUNK, parameters_line(public))
    if heard:
        kept = [[label, round(probability, 4)] for label, probability in heard[:HEARD_KEPT]]
        chunks.add_text(HEARD_CHUNK, json.dumps(kept, ensure_ascii=True))
    for keyword, text in (more or {}).items():
        chunks.add_text(keyword, text)
    # Beside the target, so that the last move stays on one disk and cannot stop half-way.
    part = target.with_name(f".{target.name[-200:]}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                image.save(file, format="PNG", pnginfo=chunks)
                # Without it a power cut soon after may leave an empty file under the finished name.
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, target)
            _settle(target.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"The picture cannot be written to {str(target)!r} ({reason}). Choose another place."
        ) from error
    return target


def _settle(folder: Path) -> None:
    """Put a folder's own list of files on the disk, where the system can do that."""
    with suppress(OSError):  # Windows opens no folders; some network disks refuse
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_recipe(path: str | Path) -> Recipe:
    """The recipe inside a picture. Raises InputError when there is no such picture, or no whole recipe in it."""
    return read_picture(path)[0]


def read_picture(path: str | Path) -> tuple[Recipe, Heard]:
    """The recipe inside a picture, and what the ear heard if it says so. Raises InputError as `read_recipe`."""
    source = Path(path).expanduser()
    try:
        with Image.open(source) as image:
            image.load()  # text chunks may stand behind the pixels, and a cut-off file shows only now
            text = image.info.get(RECIPE_CHUNK) if image.format == "PNG" else None
            heard = image.info.get(HEARD_CHUNK)
    except FileNotFoundError:
        raise InputError(f"There is no picture {str(source)!r}. Check the path.") from None
    except UnidentifiedImageError:
        raise InputError(f"The file {source.name!r} is not a picture. Give a PNG that Hearsight made.") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"The picture {source.name!r} cannot be read ({error}). Give the original PNG.") from None
    if not isinstance(text, str):
        raise InputError(
            f"The picture {source.name!r} carries no recipe. Give a PNG that Hearsight made, as it was downloaded; "
            "messengers and photo programs remove the recipe."
        )
    try:
        return Recipe.from_json(text), _heard(heard)
    except InputError as error:
        raise InputError(f"The recipe in {source.name!r} cannot be used. {error}") from None


def _heard(text: object) -> Heard:
    """What a picture says was heard; nothing when that cannot be understood, for the picture is good without it."""
    if not isinstance(text, str):
        return ()
    try:
        return tuple((str(label)[:100], float(probability)) for label, probability in json.loads(text))[:HEARD_KEPT]
    except (ValueError, TypeError, RecursionError):
        return ()


def parameters_line(recipe: Recipe) -> str:
    """The recipe in the form of AUTOMATIC1111's web UI, which picture viewers and other programs know."""
    lines = [" ".join(recipe.prompt.split())]
    if recipe.negative_prompt:
        lines.append(f"Negative prompt: {' '.join(recipe.negative_prompt.split())}")
    values = {
        "Steps": recipe.num_inference_steps,
        "CFG scale": recipe.guidance_scale,
        "Seed": recipe.seed,
        "Size": f"{recipe.width}x{recipe.height}" if recipe.width and recipe.height else None,
        "Model hash": recipe.model_sha256,
        "Model": recipe.model,
        "Version": f"Hearsight {recipe.versions['hearsight']}" if "hearsight" in recipe.versions else "Hearsight",
    }
    lines.append(", ".join(f"{name}: {value}" for name, value in values.items() if value is not None))
    return "\n".join(lines)
