"""Settings that know their own bounds: declared once as pydantic fields, read by validation, command line and app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from studio.errors import InputError

# Pydantic's way of beginning a message, and ours.
_RULES = (("Input should be", "it must be"), ("String should", "it should"), ("Tuple should", "it should"))


def setting(default: Any, help: str, *, step: float | None = None, unit: str | None = None, **bounds: Any) -> Any:
    """A field with its bounds (ge, le, multiple_of, max_length), its help, and its control's step and unit."""
    extra: dict[str, Any] = {key: value for key, value in (("step", step), ("unit", unit)) if value is not None}
    return Field(default, description=help, json_schema_extra=extra, **bounds)


class Strict(BaseModel):
    """Frozen, no unknown fields, no NaN; every refusal is one InputError sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(_sentence(type(self), error)) from None

    def replace(self, **changes: Any) -> Self:
        """A validated copy with some fields changed (pydantic's `model_copy` would not validate)."""
        unchanged = {name: getattr(self, name) for name in type(self).model_fields if name not in changes}
        return type(self)(**unchanged, **changes)


@dataclass(frozen=True)
class Setting:
    """One field as a control. kind is int, float or str; minimum and maximum are inclusive, None = no bound."""

    name: str
    kind: type
    default: Any
    optional: bool
    help: str
    minimum: float | None
    maximum: float | None
    step: float | None
    unit: str | None


def settings(model: type[BaseModel]) -> dict[str, Setting]:
    """The int, float and str fields of a model, by name, in the order of their declaration."""
    found = {}
    for name, field in model.model_fields.items():
        choices = getattr(field.annotation, "__args__", (field.annotation,))
        kinds = [choice for choice in choices if choice in (int, float, str)]
        if len(kinds) != 1 or field.default_factory is not None:
            continue  # a list, a dictionary, a fixed version: not something one control sets
        bounds = {key: getattr(mark, key) for mark in field.metadata for key in ("ge", "le") if hasattr(mark, key)}
        extra = cast(Mapping[str, Any], field.json_schema_extra or {})
        found[name] = Setting(
            name=name,
            kind=cast(type, kinds[0]),
            default=field.default,
            optional=type(None) in choices,
            help=field.description or "",
            minimum=bounds.get("ge"),
            maximum=bounds.get("le"),
            step=extra.get("step"),
            unit=extra.get("unit"),
        )
    return found


def _sentence(model: type[BaseModel], error: ValidationError) -> str:
    """The first thing that is wrong, as a sentence: which field, the rule, the value, what to do."""
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"]) or model.__name__
    field = model.model_fields.get(str(first["loc"][0])) if first["loc"] else None
    if first["type"] == "extra_forbidden":
        known = ", ".join(model.model_fields)
        return f"A {model.__name__.lower()} has no field {name!r}. Its fields are: {known}."
    rule = first["msg"].removeprefix("Value error, ")
    for pydantic_says, we_say in _RULES:
        rule = rule.replace(pydantic_says, we_say)
    value = repr(first["input"])
    shown = value if len(value) <= 60 else f"{value[:57]}..."
    bounds = _range(field.metadata, cast(Mapping[str, Any], field.json_schema_extra or {})) if field else ""
    return f"{name!r} cannot be {shown}: {rule}.{bounds}"


def _range(marks: list[Any], extra: Mapping[str, Any]) -> str:
    """' Use 1 to 100 px.' for a field with both bounds, else nothing."""
    bounds = {key: getattr(mark, key) for mark in marks for key in ("ge", "le") if hasattr(mark, key)}
    if len(bounds) < 2:
        return ""
    unit = f" {extra['unit']}" if "unit" in extra else ""
    return f" Use {bounds['ge']} to {bounds['le']}{unit}."
