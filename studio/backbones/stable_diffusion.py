"""Stable Diffusion 1.x and 2.x, and the embedded model: CLIP text encoder, U-Net, autoencoder.

Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", CVPR 2022. Version 2 differs in the
text encoder's size (OpenCLIP, 1024) and in what the U-Net predicts (v), and both are in the folder's configs. So are
the few-step versions: LCM has the guidance scale as an input, Turbo has another scheduler. Letters as in `base`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, cast

# The modules themselves and not `diffusers`: the package's front door imports every pipeline it knows.
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers.models.clip.modeling_clip import CLIPTextModel
from transformers.models.clip.tokenization_clip import CLIPTokenizer

from studio.backbones import BACKBONES
from studio.backbones._latent import LatentDiffusion, guidance_inputs, unet_defects
from studio.backbones._variant import Variant
from studio.backbones.base import BackboneDims, ModelDefaults, TextMarks, TextStates
from studio.device import DeviceChoice


@BACKBONES.register("StableDiffusionPipeline")
@BACKBONES.register("LatentConsistencyModelPipeline")
class StableDiffusion(LatentDiffusion):
    """A loaded Stable Diffusion folder."""

    COMPONENTS: ClassVar[dict[str, Any]] = {
        "tokenizer": CLIPTokenizer,
        "text_encoder": CLIPTextModel,
        "unet": UNet2DConditionModel,
        "vae": AutoencoderKL,
    }

    def __init__(
        self,
        source: Path,
        choice: DeviceChoice,
        parts: dict[str, Any],
        scheduler_config: dict[str, Any],
        defaults: ModelDefaults | None = None,
        variant: Variant | None = None,
    ) -> None:
        self.tokenizer: CLIPTokenizer = parts["tokenizer"]
        self.text_encoder: CLIPTextModel = parts["text_encoder"]
        self.unet: UNet2DConditionModel = parts["unet"]
        self.embeds_guidance = self.unet.config.get("time_cond_proj_dim") is not None
        super().__init__(source, choice, parts, scheduler_config, defaults, variant)
        text = self.text_encoder.config
        self.dims = BackboneDims(
            text_width=text.hidden_size,
            context_width=self.unet.config["cross_attention_dim"],
            max_positions=min(text.max_position_embeddings, self.tokenizer.model_max_length),
            latent_channels=self.unet.config["in_channels"],
            downscale=self._downscale,
        )
        self.marks = clip_marks(self.tokenizer, text.vocab_size)

    @classmethod
    def checked(cls, folder: Path, parts: dict[str, Any]) -> dict[str, Any]:
        unet_defects(folder, parts["unet"], parts["vae"], parts["text_encoder"].config.hidden_size)
        return parts

    @property
    def token_embedding(self) -> nn.Module:
        return self.text_encoder.get_input_embeddings()

    def token_ids(self, text: str) -> list[int]:
        # split_special_tokens: a prompt that spells out an end mark gets letters, not the mark.
        return cast(list[int], self.tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids)

    def encode_text(self, ids: Tensor) -> TextStates:
        self.residence.bring(self.text_encoder)
        return TextStates(self.text_encoder(ids.to(self.choice.device)).last_hidden_state)

    def predict(self, latents: Tensor, timestep: Tensor, states: TextStates) -> Tensor:
        self.residence.bring(self.unet)
        dtype = self.choice.dtype
        more = guidance_inputs(self.unet, states, self.defaults.guidance_scale)
        output = self.unet(latents.to(dtype), timestep, states.tokens.to(dtype), return_dict=False, **more)[0]
        return cast(Tensor, output.float())


def clip_marks(tokenizer: CLIPTokenizer, vocab_size: int, *others: CLIPTokenizer) -> TextMarks:
    """The marks of a CLIP tokenizer. others: tokenizers that read the same ids."""
    special = {token for each in (tokenizer, *others) for token in each.all_special_ids}
    return TextMarks(
        start=cast(int, tokenizer.bos_token_id),
        end=cast(int, tokenizer.eos_token_id),
        pad=cast(int, tokenizer.pad_token_id),
        # Any ordinary token does: its embedding is overwritten. The end mark would not, CLIP looks for it.
        filler=next(token for token in range(vocab_size) if token not in special),
    )
