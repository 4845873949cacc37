"""SonicDiffusion's published weights for Stable Diffusion 1.4, as a gated adapter.

A gated adapter is two files there: the gated layers (`landscape.pt`, `greatest_hits.pt`: 80 tensors, 28,491,210
numbers) and the projector (`audio_projector_landscape.pth`, `audio_projector_gh.pth`: 6,130,050 numbers). The ear is
Microsoft's CLAP of 2022, whose pooled vector has length 1.
"""

from __future__ import annotations

from pathlib import Path

from studio.adapters._published import fill, read_state
from studio.adapters.gated import GatedAdapter, GatedConfig
from studio.adapters.gated_layers import Place
from studio.adapters.projectors import SonicProjector

LAYERS_TITLE, PROJECTOR_TITLE = "SonicDiffusion's gated layers", "SonicDiffusion's projector"
EAR = "clap-2022"

# What `gated_places` finds in Stable Diffusion 1.x; a test compares them.
PLACES = tuple(
    Place(f"{path}.transformer_blocks.0", width, 8)
    for path, width in [
        ("mid_block.attentions.0", 1280),
        *((f"up_blocks.{block}.attentions.{layer}", 2560 >> block) for block in (1, 2, 3) for layer in (0, 1, 2)),
    ]
)


def sonic_config() -> GatedConfig:
    """The published form."""
    return GatedConfig(
        places=PLACES,
        encoder=EAR,
        projector="sonic",
        sound_dim=SonicProjector.SOUND,
        count=SonicProjector.COUNT,
        width=SonicProjector.WIDTH,
        hidden=SonicProjector.INNER,
        text_width=SonicProjector.WIDTH,
    )


def load_published(layers: Path, projector: Path) -> GatedAdapter:
    """The adapter from the two published files, in eval mode; `save` writes it in Hearsight's own form.

    No code in the files is run. Raises InputError naming the first weight that is missing, too many, or misshapen.
    """
    adapter = GatedAdapter(sonic_config())
    fill(adapter.network.layers, read_state(layers), layers.name, LAYERS_TITLE)
    fill(adapter.network.projector, read_state(projector), projector.name, PROJECTOR_TITLE)
    return adapter.eval().requires_grad_(False)
