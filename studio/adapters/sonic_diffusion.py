"""SonicDiffusion's published weights for Stable Diffusion 1.4, as a gated adapter.

A gated adapter is two files there: the gated layers (`landscape.pt`, `greatest_hits.pt`: 80 tensors, 28,491,210
numbers) and the projector (`audio_projector_landscape.pth`, `audio_projector_gh.pth`: 6,130,050 numbers). The ear is
Microsoft's CLAP of 2022, whose pooled vector has length 1.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from studio.adapters.gated import GatedAdapter, GatedConfig
from studio.adapters.gated_layers import Place
from studio.adapters.projectors import SonicProjector
from studio.errors import InputError

# What `gated_places` finds in Stable Diffusion 1.x; a test compares them.
PLACES = tuple(
    Place(f"{path}.transformer_blocks.0", width, 8)
    for path, width in [
        ("mid_block.attentions.0", 1280),
        *((f"up_blocks.{block}.attentions.{layer}", 2560 >> block) for block in (1, 2, 3) for layer in (0, 1, 2)),
    ]
)


def sonic_config(encoder: str = "clap") -> GatedConfig:
    """The published form. encoder: the registered name of the ear that is Microsoft's CLAP of 2022."""
    return GatedConfig(
        places=PLACES,
        encoder=encoder,
        projector="sonic",
        sound_dim=SonicProjector.SOUND,
        count=SonicProjector.COUNT,
        width=SonicProjector.WIDTH,
        hidden=SonicProjector.INNER,
        text_width=SonicProjector.WIDTH,
    )


def load_published(layers: Path, projector: Path, encoder: str = "clap") -> GatedAdapter:
    """The adapter from the two published files, in eval mode; `save` writes it in Hearsight's own form.

    No code in the files is run. Raises InputError naming the first weight that is missing, too many, or misshapen.
    """
    adapter = GatedAdapter(sonic_config(encoder))
    _fill(adapter.network.layers, layers)
    _fill(adapter.network.projector, projector)
    return adapter.eval().requires_grad_(False)


def _fill(module: nn.Module, path: Path) -> None:
    """Load a published state dict into a module, every weight in its shape."""
    state, ours = _read(path), module.state_dict()
    for name, value in ours.items():
        if name not in state:
            raise InputError(f"The file {path.name!r} is not the published one: the weight {name} is missing.")
        theirs = state[name]
        if not isinstance(theirs, Tensor):
            raise InputError(f"The file {path.name!r} is not the published one: {name} is not a tensor.")
        if theirs.shape != value.shape:
            raise InputError(
                f"The file {path.name!r} is not the published one: the weight {name} has the shape "
                f"{list(theirs.shape)} and must have {list(value.shape)}."
            )
    if foreign := [name for name in state if name not in ours]:
        raise InputError(
            f"The file {path.name!r} is not the published one: the weight {foreign[0]!r} does not belong."
        )
    module.load_state_dict({name: value.float() for name, value in state.items()})


def _read(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"There is no file {str(path)!r}. Give the published file.") from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"The file {path.name!r} holds no weights, or damaged ones ({reason}).") from error
    if not isinstance(state, dict):
        raise InputError(f"The file {path.name!r} holds no weights by name, but a {type(state).__name__}.")
    return state
