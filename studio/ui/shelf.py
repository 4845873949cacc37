"""The prompt templates a visitor has: those that come with Hearsight, and own ones on disk or in their browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from studio.errors import InputError
from studio.presets import Template, delete_template, load_templates, own_template, own_templates, save_template

Stored = list[dict[str, Any]]


@cache
def templates() -> tuple[Template, ...]:
    """The templates that come with Hearsight in their order, read once."""
    return load_templates()


@dataclass(frozen=True)
class Shelf:
    """Where own templates are: a folder, or None where strangers share the app; then each browser keeps its own.

    stored, in all methods: what the browser keeps, whoever wrote it; not looked at where there is a folder.
    """

    folder: Path | None

    def own(self, stored: object) -> tuple[Template, ...]:
        """The visitor's own templates."""
        if self.folder is None:
            found = [_template(values) for values in stored] if isinstance(stored, list) else []
        else:
            found = list(own_templates(self.folder))
        shipped = {template.id for template in templates()}
        return tuple(template for template in found if template is not None and template.id not in shipped)

    def all(self, stored: object) -> tuple[Template, ...]:
        """All templates, own ones last."""
        return (*templates(), *self.own(stored))

    def save(
        self,
        title: str,
        prompt: str,
        negative_prompt: str,
        stored: object,
        fine: Mapping[str, int | float] | None = None,
    ) -> tuple[Template, Stored]:
        """A new template and what the browser keeps now. Raises HearsightError like `studio.presets`."""
        own = self.own(stored)
        template = own_template(title, prompt, negative_prompt, own, fine)
        if self.folder is not None:
            save_template(template, self.folder)
            return template, []
        return template, _stored([*(one for one in own if one.id != template.id), template])

    def delete(self, name: str, stored: object) -> Stored:
        """Without the own template of this id; what the browser keeps now."""
        if self.folder is not None:
            delete_template(name, self.folder)
            return []
        return _stored([one for one in self.own(stored) if one.id != name])


def _template(values: object) -> Template | None:
    try:
        return Template(**values) if isinstance(values, dict) else None
    except (InputError, TypeError):  # a browser's storage is anybody's
        return None


def _stored(own: Sequence[Template]) -> Stored:
    return [template.model_dump(mode="json", exclude_none=True) for template in own]
