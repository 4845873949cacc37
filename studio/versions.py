"""What made a picture: program versions and number format, so that a replay can say why it differs."""

from __future__ import annotations

from importlib.metadata import version

from studio import __version__
from studio.device import DeviceChoice
from studio.recipe import Recipe


def versions(choice: DeviceChoice) -> dict[str, str]:
    """Versions by name; "device" is what computed and in which number format, as in "cpu bfloat16, 2 threads".

    The threads belong to it: they decide in which order the processor adds, and so the last bits of every sum.
    """
    import torch

    on_gpu = choice.device.type == "cuda"
    what = torch.cuda.get_device_name(choice.device) if on_gpu else f"{torch.get_num_threads()} threads"
    dtype = str(choice.dtype).removeprefix("torch.")
    return {
        "hearsight": __version__,
        "torch": version("torch"),
        "diffusers": version("diffusers"),
        "device": f"{choice.device.type} {dtype}, {what}",
    }


def differences(recipe: Recipe, resolved: Recipe) -> list[str]:
    """Sentences on why the picture may not be the one the recipe was made with; none for a new recipe."""
    found = []
    if recipe.model_sha256 is not None and recipe.model_sha256 != resolved.model_sha256:
        found.append(
            f"The model {resolved.model!r} has changed since this recipe was made "
            f"({recipe.model_sha256} then, {resolved.model_sha256} now), so the picture will differ."
        )
    if recipe.adapter_sha256 is not None and recipe.adapter_sha256 != resolved.adapter_sha256:
        found.append(
            f"The adapter {resolved.adapter!r} has changed since this recipe was made "
            f"({recipe.adapter_sha256} then, {resolved.adapter_sha256} now), so the picture will differ."
        )
    found += [
        f"This recipe was made with {name} {then}, and here is {resolved.versions[name]}, so the picture may differ."
        for name, then in recipe.versions.items()
        if name in resolved.versions and resolved.versions[name] != then
    ]
    return found
