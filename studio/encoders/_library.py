"""Ears that transformers implements: from a folder in its format to the model and what prepares sound for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from studio.encoders._weights import Published
from studio.errors import InputError


def load_pretrained(folder: Path, published: Published, model: Any, features: Any) -> tuple[Any, Any]:
    """A model (float32, frozen, eval mode) and its feature extractor from a folder with safetensors.

    Raises InputError naming what is missing, and the first weight that is missing or of another shape: the library
    itself fills those with random numbers and only logs it.
    """
    for name in published.files:
        if not (folder / name).is_file():
            raise InputError(
                f"The folder {folder} is not {published.title}: {name} is missing. Copy it from {published.source}."
            )
    try:
        with no_progress_bar():
            extractor = features.from_pretrained(folder, local_files_only=True)
            network, report = model.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported below, with a name, instead of raised with a table
                dtype=torch.float32,
            )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"The folder {folder} is not {published.title}, or it is damaged ({reason}). Copy it from "
            f"{published.source} again."
        ) from error
    if mismatched := sorted(report["mismatched_keys"]):
        name, found, wanted = mismatched[0]
        raise InputError(
            f"{folder / 'model.safetensors'} does not fit its config.json: {name!r} is {list(found)}, but must be "
            f"{list(wanted)}. Copy both from {published.source} again."
        )
    if missing := sorted(report["missing_keys"]):
        raise InputError(
            f"{folder / 'model.safetensors'} does not fit its config.json: its weight {missing[0]!r} is missing. "
            f"Copy both from {published.source} again."
        )
    return network.eval().requires_grad_(False), extractor


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Transformers draws a bar on stderr while it loads; ours would be broken by it."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
