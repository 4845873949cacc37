"""Backbones, one file each, registered under the pipeline class that a model folder's model_index.json names."""

from __future__ import annotations

import json

from studio.backbones.base import Backbone
from studio.backbones.hub import model_folder
from studio.device import DeviceChoice
from studio.errors import InputError
from studio.registry import Registry

BACKBONES: Registry[type[Backbone]] = Registry("model form", "studio.backbones")


def load_backbone(name: str, choice: DeviceChoice, *, allow_download: bool = False) -> Backbone:
    """Load a model by name, folder or hub name. Raises InputError when it is not there or of an unknown form."""
    folder = model_folder(name, allow_download=allow_download)
    index = folder / "model_index.json"
    try:
        form = json.loads(index.read_bytes())["_class_name"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"The model file {index} is damaged: it must be JSON with a '_class_name'.") from None
    return BACKBONES.get(str(form)).load(folder, choice)
