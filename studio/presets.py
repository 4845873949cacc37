"""Prompt templates: one JSON file each, those that come with Hearsight and the artist's own.

One of the artist's may be a whole preset: it then sets strengths, steps and size too.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import field_validator

from studio.errors import HearsightError, InputError
from studio.fields import Strict, setting
from studio.paths import data_home, presets_folder
from studio.recipe import MAX_PROMPT, Recipe

log = logging.getLogger("hearsight.presets")

FREE = "free"  # the template that replaces nothing
MOST_OWN = 60
FINE = ("num_inference_steps", "guidance_scale", "sound_strength", "width", "height")


class Template(Strict):
    """A ready prompt, as a tab of the app and a name for `--template`.

    fine: what else of a recipe it sets, by the names of `FINE`; None = nothing.
    """

    id: str = setting(..., "The file's name without .json.", pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)
    title: str = setting(..., "What the tab is called.", min_length=1, max_length=40)
    prompt: str = setting(..., "The prompt, with A* where the sound goes.", min_length=1, max_length=MAX_PROMPT)
    help: str = setting("", "One sentence on what it is good for.", max_length=200)
    order: int = setting(100, "Smaller comes first.", ge=0, le=1000)
    negative_prompt: str | None = setting(None, "What to stay away from; empty = as it was.", max_length=MAX_PROMPT)
    fine: dict[str, int | float] | None = setting(None, "Steps, strengths and size; empty = as they were.")

    @field_validator("fine")
    @classmethod
    def _fits_a_recipe(cls, fine: dict[str, int | float] | None) -> dict[str, int | float] | None:
        if unknown := set(fine or ()) - set(FINE):
            raise ValueError(f"it sets {', '.join(sorted(unknown))}, but may set only {', '.join(FINE)}")
        try:
            Recipe().replace(**fine or {})
        except InputError as error:
            raise ValueError(str(error)) from None
        return fine

    @property
    def fields(self) -> dict[str, Any]:
        """What it sets of a recipe, by name."""
        avoid = {} if self.negative_prompt is None else {"negative_prompt": self.negative_prompt}
        return {"prompt": self.prompt, **avoid, **(self.fine or {})}


def load_templates() -> tuple[Template, ...]:
    """All templates that come with Hearsight, in their order. Raises HearsightError naming a file that is damaged."""
    found = []
    for path in sorted(presets_folder().glob("*.json")):
        template = _read(path)
        if template is not None:
            found.append(template)
    return tuple(sorted(found, key=lambda template: (template.order, template.id)))


def own_folder(home: Path | None = None) -> Path:
    """Where the artist's own templates lie; it need not exist. home: a data folder other than the user's own."""
    return (home or data_home()) / "presets"


def own_templates(folder: Path) -> tuple[Template, ...]:
    """The templates of a folder of the artist's, oldest first; a damaged one is logged and left out."""
    found = []
    for path in folder.glob("*.json"):
        try:
            template = _read(path)
            written = path.stat().st_mtime_ns
        except (HearsightError, OSError) as error:
            log.warning("A template of yours is left out: %s", error)
            continue
        if template is not None:
            found.append((written, template))
    return tuple(template for _, template in sorted(found, key=lambda one: (one[0], one[1].id)))


def own_template(
    title: str,
    prompt: str,
    negative_prompt: str | None = None,
    known: Iterable[Template] = (),
    fine: Mapping[str, int | float] | None = None,
) -> Template:
    """A new template of the artist's. known: all that are there; one of the same title keeps its id, and is replaced.

    fine: as in `Template`.

    Raises InputError when title or prompt are empty or too long, when the title is one that comes with Hearsight, or
    when there are too many.
    """
    title, known = " ".join(title.split()), tuple(known)
    shipped = {template.id: template.title for template in load_templates()}
    if not title:
        raise InputError("A template needs a name: write one, for example Night sea.")
    if title.casefold() in {one.casefold() for one in shipped.values()}:
        raise InputError(f'A template that comes with Hearsight is called "{title}" already: choose another name.')
    ids = {template.id for template in known} | set(shipped)
    same = next((one for one in known if one.title.casefold() == title.casefold() and one.id not in shipped), None)
    if same is None and len(known) >= MOST_OWN:
        raise InputError(f"There are {MOST_OWN} templates of yours already: delete one first.")
    name = same.id if same else _free_id(title, ids)
    kept = None if fine is None else dict(fine)
    return Template(id=name, title=title, prompt=prompt.strip(), negative_prompt=negative_prompt or None, fine=kept)


def save_template(template: Template, folder: Path) -> Path:
    """Write a template of the artist's; a reader sees the old file or the new one. Raises HearsightError."""
    path = folder / f"{template.id}.json"  # the id is of letters, digits and hyphens: no way out of the folder
    partial = path.with_suffix(".json.partial")
    text = json.dumps(template.model_dump(mode="json", exclude_none=True), ensure_ascii=False, indent=2)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_text(text + "\n", encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise HearsightError(f"The template cannot be written into {folder}: {error.strerror}.") from error
    return path


def delete_template(name: str, folder: Path) -> bool:
    """Delete the artist's template of this id; False when there is none. Others cannot be named by it."""
    if not any(template.id == name for template in own_templates(folder)):
        return False
    (folder / f"{name}.json").unlink(missing_ok=True)
    return True


def _read(path: Path) -> Template | None:
    """The template of a file, None when it is another kind of preset. Raises HearsightError when it is damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if "prompt" not in values or "title" not in values:
            return None
        template = Template(**values)
    except (OSError, ValueError, TypeError, InputError) as error:
        raise HearsightError(f"The preset {path} is damaged: {error}") from error
    if template.id != path.stem:
        raise HearsightError(f"The preset {path} is damaged: its id is {template.id!r}, not {path.stem!r}.")
    return template


def _free_id(title: str, taken: set[str]) -> str:
    """A file name from a title: its Latin letters and digits, or a short digest where it has none."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-")
    stem = stem or "own-" + hashlib.sha256(title.encode()).hexdigest()[:8]
    return next(name for name in (stem, *(f"{stem}-{number}" for number in range(2, 1000))) if name not in taken)
