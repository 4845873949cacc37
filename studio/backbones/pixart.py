"""PixArt: a transformer in place of the U-Net, and T5 in place of CLIP. T5 may be left out; then only sound steers it.

Chen et al., "PixArt-alpha: Fast Training of Diffusion Transformer for Photorealistic Text-to-Image Synthesis", 2023;
"PixArt-Sigma", 2024. Letters as in `base`. The network also predicts a variance (8 output channels); it is not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.transformers.pixart_transformer_2d import PixArtTransformer2DModel
from torch import Tensor, nn
from transformers.models.t5.modeling_t5 import T5EncoderModel
from transformers.models.t5.tokenization_t5 import T5Tokenizer

from studio.backbones import BACKBONES
from studio.backbones._latent import LatentDiffusion
from studio.backbones._parts import read_json
from studio.backbones._t5 import LARGE, load_t5_encoder, load_t5_tokenizer
from studio.backbones._variant import Variant
from studio.backbones.base import BackboneDims, ModelDefaults, TextMarks, TextStates
from studio.device import DeviceChoice
from studio.errors import InputError


@BACKBONES.register("PixArtAlphaPipeline")
class PixArt(LatentDiffusion):
    """A loaded PixArt folder. Without its text encoder it reads `TextStates` that an adapter writes, and no words.

    Such states are [B, T, E], or already as wide as the transformer (1152): those go past its caption projection, as
    the projector of Seeing Sound takes that layer's place.
    """

    COMPONENTS: ClassVar[dict[str, Any]] = {
        "tokenizer": load_t5_tokenizer,
        "text_encoder": load_t5_encoder,
        "transformer": PixArtTransformer2DModel,
        "vae": AutoencoderKL,
    }
    DENOISER: ClassVar[str] = "transformer"
    USUAL: ClassVar[dict[str, Any]] = {"guidance_scale": 4.5, "num_inference_steps": 20}
    POSITIONS: ClassVar[int] = 120  # tokens of a caption in training

    def __init__(
        self,
        source: Path,
        choice: DeviceChoice,
        parts: dict[str, Any],
        scheduler_config: dict[str, Any],
        defaults: ModelDefaults | None = None,
        variant: Variant | None = None,
    ) -> None:
        self.tokenizer: T5Tokenizer | None = parts.get("tokenizer")
        self.text_encoder: T5EncoderModel | None = parts.get("text_encoder")
        self.transformer: PixArtTransformer2DModel = parts["transformer"]
        super().__init__(source, choice, parts, scheduler_config, defaults, variant)
        config = self.transformer.config
        self.dims = BackboneDims(
            text_width=config["caption_channels"],
            context_width=config["caption_channels"],
            max_positions=self.POSITIONS,
            latent_channels=config["in_channels"],
            downscale=self._downscale,
            patch=config["patch_size"],
        )
        # T5: padding 0, end 1, unknown 2, no start; the first ordinary token is 3.
        self.marks = TextMarks(start=None, end=1, pad=0, filler=3)

    @classmethod
    def kinds(cls, folder: Path, variant: Variant) -> dict[str, Any]:
        named = read_json(folder / "model_index.json").get("text_encoder")
        said = isinstance(named, list) and any(named)  # [null, null] where it was left out on purpose
        if variant.text and said:
            return cls.COMPONENTS
        return {name: kind for name, kind in cls.COMPONENTS.items() if name not in ("tokenizer", "text_encoder")}

    @classmethod
    def loaded_bytes(cls, component: str, files: list[Path]) -> int:
        size = super().loaded_bytes(component, files)
        # The published T5 is in float32 and is halved shard by shard.
        return size // 2 if component == "text_encoder" and size >= 4 * LARGE else size

    @classmethod
    def checked(cls, folder: Path, parts: dict[str, Any]) -> dict[str, Any]:
        config, text = parts["transformer"].config, parts.get("text_encoder")
        if config.get("caption_channels") is None or config["in_channels"] != parts["vae"].config["latent_channels"]:
            raise InputError(f"The model {folder} does not fit together: its transformer and autoencoder differ.")
        if text is not None and text.config.d_model != config["caption_channels"]:
            raise InputError(
                f"The model {folder} does not fit together: its transformer reads text states of width "
                f"{config['caption_channels']}, its text encoder writes {text.config.d_model}."
            )
        return parts

    @property
    def token_embedding(self) -> nn.Module:
        # The stack's own layer: the one that T5 calls its input embeddings only shares its weights, and never runs.
        return cast(nn.Module, self._text()[1].encoder.embed_tokens)

    def token_ids(self, text: str) -> list[int]:
        # The model's captions were in small letters.
        read = self._text()[0](text.lower(), add_special_tokens=False, split_special_tokens=True)
        return cast(list[int], read.input_ids)

    def encode_text(self, ids: Tensor) -> TextStates:
        _, encoder = self._text()
        self.residence.bring(encoder)
        ids = ids.to(self.choice.device)
        mask = ids != self.marks.pad
        states = encoder(ids, attention_mask=mask.long()).last_hidden_state
        return TextStates(states.float(), mask=mask)

    def predict(self, latents: Tensor, timestep: Tensor, states: TextStates) -> Tensor:
        self.residence.bring(self.transformer)
        dtype, count = self.choice.dtype, len(latents)
        more: dict[str, Any] = {"resolution": None, "aspect_ratio": None}
        if self.transformer.use_additional_conditions:  # the 1024 px model knows size and form of the picture
            height, width = (side * self.dims.downscale for side in latents.shape[-2:])
            more = {
                "resolution": torch.tensor([[height, width]], device=latents.device, dtype=dtype).expand(count, 2),
                "aspect_ratio": torch.tensor([[height / width]], device=latents.device, dtype=dtype).expand(count, 1),
            }
        with self._projection(states):
            output = self.transformer(
                latents.to(dtype),
                encoder_hidden_states=states.tokens.to(dtype),
                encoder_attention_mask=None if states.mask is None else states.mask.to(dtype),
                timestep=timestep.to(latents.device).expand(count),
                added_cond_kwargs=more,
                return_dict=False,
            )[0]
        # The second half of the channels is the learned variance, for samplers that we do not use.
        return cast(Tensor, output[:, : self.dims.latent_channels].float())

    @contextmanager
    def _projection(self, states: TextStates) -> Iterator[None]:
        """Leave the caption projection out for states that are already as wide as the transformer."""
        layer = self.transformer.caption_projection
        if states.tokens.shape[-1] == self.dims.context_width or states.tokens.shape[-1] != self.transformer.inner_dim:
            yield
            return
        self.transformer.caption_projection = None
        try:
            yield
        finally:
            self.transformer.caption_projection = layer

    def _text(self) -> tuple[T5Tokenizer, T5EncoderModel]:
        if self.tokenizer is None or self.text_encoder is None:
            raise InputError(
                f"The model {self.source.name!r} is loaded without its text encoder, so it cannot read words. "
                "Use an adapter that conditions it by sound alone, or the complete folder."
            )
        return self.tokenizer, self.text_encoder

    def _dtype(self, component: str) -> torch.dtype:
        # T5 comes in the format that its size asks for.
        return self.text_encoder.dtype if component == "text_encoder" and self.text_encoder else torch.float32


@BACKBONES.register("PixArtSigmaPipeline")
class PixArtSigma(PixArt):
    """PixArt-Sigma: longer captions and SDXL's autoencoder, the same form."""

    POSITIONS: ClassVar[int] = 300
