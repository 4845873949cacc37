"""Stable Diffusion XL: two text encoders side by side, one of them also in one vector, and the picture's size.

Podell et al., "SDXL: Improving Latent Diffusion Models for High-Resolution Image Synthesis", 2023.
The word A* has a part for each text encoder, CLIP ViT-L's first, then OpenCLIP bigG's: D = 768 + 1280.
Letters as in `base`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection
from transformers.models.clip.tokenization_clip import CLIPTokenizer

from studio.backbones import BACKBONES
from studio.backbones._latent import LatentDiffusion, guidance_inputs, unet_defects
from studio.backbones._parts import read_json
from studio.backbones._variant import Variant
from studio.backbones.base import BackboneDims, ModelDefaults, TextStates
from studio.backbones.stable_diffusion import clip_marks
from studio.device import DeviceChoice
from studio.errors import InputError


@BACKBONES.register("StableDiffusionXLPipeline")
class StableDiffusionXL(LatentDiffusion):
    """A loaded SDXL folder (the base model, SDXL Turbo, LCM-SDXL; not the refiner)."""

    COMPONENTS: ClassVar[dict[str, Any]] = {
        "tokenizer": CLIPTokenizer,
        "tokenizer_2": CLIPTokenizer,
        "text_encoder": CLIPTextModel,
        "text_encoder_2": CLIPTextModelWithProjection,
        "unet": UNet2DConditionModel,
        "vae": AutoencoderKL,
    }
    USUAL: ClassVar[dict[str, Any]] = {"guidance_scale": 5.0, "num_inference_steps": 30}

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
        self.tokenizer_2: CLIPTokenizer = parts["tokenizer_2"]
        self.text_encoder: CLIPTextModel = parts["text_encoder"]
        self.text_encoder_2: CLIPTextModelWithProjection = parts["text_encoder_2"]
        self.unet: UNet2DConditionModel = parts["unet"]
        self.embeds_guidance = self.unet.config.get("time_cond_proj_dim") is not None
        super().__init__(source, choice, parts, scheduler_config, defaults, variant)
        index = source / "model_index.json"
        # The published model was trained with zeros, not with an empty prompt's states, where there are no words.
        described = read_json(index) if index.is_file() else {}
        self._zeros_for_nothing = bool(described.get("force_zeros_for_empty_prompt", True))
        one, two = self.text_encoder.config, self.text_encoder_2.config
        self.dims = BackboneDims(
            text_width=one.hidden_size + two.hidden_size,
            context_width=self.unet.config["cross_attention_dim"],
            max_positions=min(
                one.max_position_embeddings, two.max_position_embeddings, self.tokenizer.model_max_length
            ),
            latent_channels=self.unet.config["in_channels"],
            downscale=self._downscale,
        )
        self.marks = clip_marks(self.tokenizer, one.vocab_size, self.tokenizer_2)

    @classmethod
    def checked(cls, folder: Path, parts: dict[str, Any]) -> dict[str, Any]:
        unet, one, two = parts["unet"], parts["text_encoder"].config, parts["text_encoder_2"].config
        unet_defects(folder, unet, parts["vae"], one.hidden_size + two.hidden_size)
        pooled = unet.config.get("projection_class_embeddings_input_dim")
        reads = two.projection_dim + 6 * (unet.config.get("addition_time_embed_dim") or 0)
        if unet.config.get("addition_embed_type") != "text_time" or pooled != reads:
            raise InputError(
                f"The model {folder} is not SDXL's base form: its U-Net reads {pooled} numbers of text and size, "
                f"and there are {reads}. Use the base model, not a refiner."
            )
        if parts["tokenizer"].get_vocab() != parts["tokenizer_2"].get_vocab():
            raise InputError(f"The model {folder} does not fit together: its two tokenizers have different words.")
        return parts

    @property
    def token_embedding(self) -> nn.Module:
        return self.text_encoder.get_input_embeddings()

    @property
    def token_embeddings(self) -> tuple[nn.Module, ...]:
        return (self.token_embedding, self.text_encoder_2.get_input_embeddings())

    def token_ids(self, text: str) -> list[int]:
        return cast(list[int], self.tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids)

    def encode_text(self, ids: Tensor) -> TextStates:
        ids = ids.to(self.choice.device)
        ended = (ids == self.marks.end).cumsum(1) - (ids == self.marks.end).long() > 0  # behind the first end mark
        others = ids.masked_fill(ended, cast(int, self.tokenizer_2.pad_token_id))
        self.residence.bring(self.text_encoder)
        # The last layer but one of both, without the final norm (Podell et al., Section 2.1).
        with _entering_last_layer(self.text_encoder) as first:
            self.text_encoder(ids)
        self.residence.bring(self.text_encoder_2)
        with _entering_last_layer(self.text_encoder_2.text_model) as second:
            pooled = self.text_encoder_2(others).text_embeds
        tokens = torch.cat([*first, *second], dim=-1)
        if self._zeros_for_nothing:
            empty = ids[:, 1] == self.marks.end
            tokens = tokens.masked_fill(empty[:, None, None], 0.0)
            pooled = pooled.masked_fill(empty[:, None], 0.0)
        return TextStates(tokens, pooled)

    def predict(self, latents: Tensor, timestep: Tensor, states: TextStates) -> Tensor:
        self.residence.bring(self.unet)
        if states.pooled is None:
            raise ValueError("SDXL needs the pooled text beside the tokens")
        dtype, scale = self.choice.dtype, self.dims.downscale
        height, width = (side * scale for side in latents.shape[-2:])
        # Original size, place of the crop, wanted size: a picture that was neither small nor cut (Section 2.2).
        times = torch.tensor([height, width, 0, 0, height, width], device=latents.device).expand(len(latents), 6)
        output = self.unet(
            latents.to(dtype),
            timestep,
            states.tokens.to(dtype),
            added_cond_kwargs={"text_embeds": states.pooled.to(dtype), "time_ids": times.float()},
            return_dict=False,
            **guidance_inputs(self.unet, states, self.defaults.guidance_scale),
        )[0]
        return cast(Tensor, output.float())


@contextmanager
def _entering_last_layer(text_model: Any) -> Iterator[list[Tensor]]:
    """Collects what the last layer of a CLIP text model reads. (Asking the library for hidden states leaves its hooks
    on the model for good.)
    """
    found: list[Tensor] = []

    def keep(_layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found.append(inputs[0])

    handle = text_model.encoder.layers[-1].register_forward_pre_hook(keep)
    try:
        yield found
    finally:
        handle.remove()
