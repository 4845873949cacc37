"""Settings that know their own bounds: declared once as pydantic fields, read by validation, command line and app."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer
from pydantic.fields import FieldInfo

from studio.errors import InputError

# Pydantic's way of beginning a message, and ours.
_RULES = (
    ("Input should be", "it must be"),
    ("String should", "it should"),
    ("Tuple should", "it should"),
    (" after validation", ""),
)


def setting(default: Any, help: str, *, step: float | None = None, unit: str | None = None, **bounds: Any) -> Any:
    """A field with its bounds (ge, le, multiple_of, max_length), its help, and its control's step and unit."""
    extra: dict[str, Any] = {key: value for key, value in (("step", step), ("unit", unit)) if value is not None}
    return Field(default, description=help, json_schema_extra=extra, **bounds)


class Strict(BaseModel):
    """Frozen, no unknown fields, no NaN; every refusal is one InputError sentence.

    left_out: fields that are not written while they have their default. A field that came after the first version
        stands here, so that what does not use it is written byte for byte as it always was.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())
    left_out: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(_sentence(type(self), error)) from None

    @model_serializer(mode="wrap")
    def _as_always(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        unused = {name for name in self.left_out if getattr(self, name) == fields[name].default}
        return {name: value for name, value in handler(self).items() if name not in unused}

    def replace(self, **changes: Any) -> Self:
        """A validated copy with some fields changed (pydantic's `model_copy` would not validate)."""
        unchanged = {name: getattr(self, name) for name in type(self).model_fields if name not in changes}
        return type(self)(**unchanged, **changes)


@dataclass(frozen=True)
class Setting:
    """One field as a control. kind is int, float, str or bool; minimum and maximum are inclusive, None = no bound.

    choices: the only values of a str, in their order; empty = any.
    several: whether the field takes a list of such values; bounds are each value's.
    """

    name: str
    kind: type
    default: Any
    optional: bool
    help: str
    minimum: float | None
    maximum: float | None
    step: float | None
    unit: str | None
    choices: tuple[str, ...] = ()
    several: bool = False


def settings(model: type[BaseModel]) -> dict[str, Setting]:
    """The int, float, str and bool fields of a model, and lists of them, by name, in the order of declaration."""
    found = {}
    for name, field in model.model_fields.items():
        options = set(get_args(field.annotation)) if _is_union(field.annotation) else {field.annotation}
        kinds = options - {type(None)}
        if len(kinds) != 1:
            continue
        (kind,), marks = kinds, field.metadata
        several = get_origin(kind) is tuple and get_args(kind)[1:] == (...,)
        if several:
            kind = get_args(kind)[0]
            if get_origin(kind) is Annotated:
                kind, about = get_args(kind)
                marks = about.metadata if isinstance(about, FieldInfo) else [about]
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        if choices and all(isinstance(choice, str) for choice in choices):
            kind = str
        if kind not in (int, float, str, bool):
            continue  # a dictionary, other models, a fixed version: not something one control sets
        bounds = {key: getattr(mark, key) for mark in marks for key in ("ge", "le") if hasattr(mark, key)}
        extra = cast(Mapping[str, Any], field.json_schema_extra or {})
        found[name] = Setting(
            name=name,
            kind=cast(type, kind),
            default=field.default,
            optional=type(None) in options,
            help=field.description or "",
            minimum=bounds.get("ge"),
            maximum=bounds.get("le"),
            step=extra.get("step"),
            unit=extra.get("unit"),
            choices=choices,
            several=several,
        )
    return found


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, UnionType)


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
