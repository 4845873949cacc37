"""The denoising loss of a frozen image model: what every adapter and every refined word is trained by.

Letters: B pictures, C latent channels, h x w latent size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from studio.backbones.base import Backbone, TextStates
from studio.errors import InputError

Predict = Callable[[Tensor, Tensor, TextStates], Tensor]


class Denoising:
    """Plain mean squared errors of what the model predicts: noise (Ho et al., 2020, Equation 14) or velocity
    (Salimans and Ho, 2022), as its scheduler's config says.

    Raises InputError for models that do not add noise by such a schedule.
    """

    def __init__(self, backbone: Backbone) -> None:
        scheduler = backbone.scheduler()
        alphas, kind = getattr(scheduler, "alphas_cumprod", None), scheduler.config.get("prediction_type", "epsilon")
        if alphas is None or kind not in ("epsilon", "v_prediction", "sample"):
            raise InputError(
                f"The model {backbone.source.name!r} predicts {kind!r} with a {type(scheduler).__name__}, for which "
                "no training is known: use Stable Diffusion 1.x, 2.x, SDXL or PixArt."
            )
        self.backbone, self.kind = backbone, kind
        self.alphas = torch.as_tensor(alphas, dtype=torch.float32).to(backbone.choice.device)

    def errors(
        self, latents: Tensor, states: TextStates, generator: torch.Generator, predict: Predict | None = None
    ) -> Tensor:
        """float32 [B], one error a picture. latents: float32 [B, C, h, w].  states: B rows.

        predict: what to ask instead of the model alone. Timesteps are stratified over the batch, which makes the
        loss less noisy than independent draws.
        """
        device, count = self.alphas.device, len(latents)
        latents = latents.to(device)
        noise = torch.randn(latents.shape, generator=generator).to(device)
        places = (torch.arange(count) + torch.rand(count, generator=generator)) / count
        timesteps = (places * len(self.alphas)).long().clamp(max=len(self.alphas) - 1).to(device)
        alpha = self.alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
        wanted = noise
        if self.kind == "v_prediction":
            wanted = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
        elif self.kind == "sample":
            wanted = latents
        predicted = (predict or self.backbone.predict)(noisy, timesteps, states)
        return (predicted - wanted).square().mean((1, 2, 3))
