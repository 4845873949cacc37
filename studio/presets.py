"""Prompt templates: one JSON file each in the folder `presets`, found by scanning it."""

from __future__ import annotations

import json

from studio.errors import HearsightError, InputError
from studio.fields import Strict, setting
from studio.paths import presets_folder


class Template(Strict):
    """A ready prompt, as a tab of the app and a name for `--template`."""

    id: str = setting(..., "The file's name without .json.", pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    title: str = setting(..., "What the tab is called.", min_length=1, max_length=40)
    prompt: str = setting(..., "The prompt, with A* where the sound goes.", min_length=1, max_length=200)
    help: str = setting("", "One sentence on what it is good for.", max_length=200)
    order: int = setting(100, "Smaller comes first.", ge=0, le=1000)


def load_templates() -> tuple[Template, ...]:
    """All templates, in their order. Raises HearsightError naming the file when one is damaged."""
    found = []
    for path in sorted(presets_folder().glob("*.json")):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if "prompt" not in values or "title" not in values:
                continue  # another kind of preset
            template = Template(**values)
        except (OSError, ValueError, TypeError, InputError) as error:
            raise HearsightError(f"The preset {path} is damaged: {error}") from error
        if template.id != path.stem:
            raise HearsightError(f"The preset {path} is damaged: its id is {template.id!r}, not {path.stem!r}.")
        found.append(template)
    return tuple(sorted(found, key=lambda template: (template.order, template.id)))
