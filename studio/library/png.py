"""Pictures that carry their recipe: PNG text chunks "hearsight" (JSON) and "parameters" (a line other tools read)."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from studio.errors import InputError
from studio.recipe import Recipe

RECIPE_CHUNK = "hearsight"
PARAMETERS_CHUNK = "parameters"


def save_png(image: Image.Image, recipe: Recipe, path: str | Path) -> Path:
    """Write a picture and its recipe, whole or not at all; folders are made as needed. Gives the path back.

    Nothing local goes into the file: no sound path, no folders. Raises InputError when the path cannot be written or
    does not end in .png.
    """
    target = Path(path).expanduser()
    if target.suffix.lower() != ".png":
        raise InputError(f"The picture's name must end in .png, where its recipe can be kept, not {target.name!r}.")
    public = recipe.public()
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text(RECIPE_CHUNK, public.to_json())
    chunks.add_text(PARAMETERS_CHUNK, parameters_line(public))
    # Beside the target, so that the last move stays on one disk and cannot stop half-way.
    part = target.with_name(f".{target.name[-200:]}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                image.save(file, format="PNG", pnginfo=chunks)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"The picture cannot be written to {str(target)!r} ({reason}). Choose another place."
        ) from error
    return target


def read_recipe(path: str | Path) -> Recipe:
    """The recipe inside a picture. Raises InputError when there is no such picture, or no whole recipe in it."""
    source = Path(path).expanduser()
    try:
        with Image.open(source) as image:
            image.load()  # text chunks may stand behind the pixels, and a cut-off file shows only now
            text = image.info.get(RECIPE_CHUNK) if image.format == "PNG" else None
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
        return Recipe.from_json(text)
    except InputError as error:
        raise InputError(f"The recipe in {source.name!r} cannot be used. {error}") from None


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
