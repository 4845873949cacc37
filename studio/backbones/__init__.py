"""Backbones, one file each, registered under the pipeline class that a model folder's model_index.json names."""

from __future__ import annotations

import json

from studio.backbones._variant import split_name
from studio.backbones.base import Backbone
from studio.backbones.hub import model_folder
from studio.device import DeviceChoice
from studio.errors import InputError
from studio.registry import Registry

BACKBONES: Registry[type[Backbone]] = Registry("model form", "studio.backbones")


def load_backbone(name: str, choice: DeviceChoice, *, allow_download: bool = False) -> Backbone:
    """Load a model by name, folder, .safetensors file or hub name, each with additions ("NAME+lora=FILE:0.8").

    Raises InputError when it is not there or of an unknown form.
    """
    base, variant = split_name(name)
    source = model_folder(base, allow_download=allow_download, text=variant.text)
    if source.suffix == ".safetensors":
        from studio.backbones._single_file import load_single_file

        return load_single_file(source, choice, variant)
    index = source / "model_index.json"
    try:
        form = json.loads(index.read_bytes())["_class_name"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"The model file {index} is damaged: it must be JSON with a '_class_name'.") from None
    return BACKBONES.get(str(form)).load(source, choice, variant)
