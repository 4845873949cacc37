"""What every image model promises, the embedded one and the tiny one: through the engine, as users meet it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from studio.backbones import BACKBONES, load_backbone
from studio.backbones.base import Backbone, TextStates
from studio.device import pick_device
from studio.diffusion.loop import Extension, Moment, denoise, initial_noise
from studio.diffusion.prompt import embed
from tests.contracts.conftest import NAMES
from tests.models import fingerprint
from tests.real_forms import FORMS

STEPS = 2


@pytest.fixture(params=NAMES["model"], scope="module")
def backbone(request: pytest.FixtureRequest, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    name = str(tiny_folder) if request.param == "tiny" else request.param
    if request.param in FORMS:
        name = str(FORMS[request.param](tmp_path_factory.mktemp("form") / name))
    return load_backbone(name, pick_device("cpu"))


def _word(backbone: Backbone) -> torch.Tensor:
    return 0.1 * torch.randn(1, backbone.dims.text_width, generator=torch.Generator().manual_seed(0))


def _moments(backbone: Backbone, *extensions: Extension) -> Iterator[Moment]:
    generator = torch.Generator().manual_seed(7)
    states = embed(backbone, [backbone.defaults.negative_prompt, "a photo of A*"], _word(backbone))
    size = backbone.defaults.native_size // 2
    noise = initial_noise(backbone, size, size, generator)
    return denoise(
        backbone, noise, states[:1], states[1:],
        num_inference_steps=STEPS, guidance_scale=3.0, generator=generator, extensions=extensions,
    )  # fmt: skip


def _state(backbone: Backbone) -> dict[str, dict[str, bytes]]:
    return {name: fingerprint(module) for name, module in backbone.modules().items()}


@pytest.mark.parametrize("name", NAMES["model form"])
def test_every_form_is_a_backbone(name: str) -> None:
    assert issubclass(BACKBONES.get(name), Backbone)


def test_declared_shapes(backbone: Backbone) -> None:
    dims, size = backbone.dims, backbone.defaults.native_size
    states = embed(backbone, ["a photo of A*"], _word(backbone))
    assert states.tokens.shape == (1, dims.max_positions, dims.context_width)
    side = size // dims.downscale
    latents = torch.zeros(2, dims.latent_channels, side, side)
    prediction = backbone.predict(latents, torch.tensor(10), TextStates.cat([states, states]))
    assert (prediction.shape, prediction.dtype) == (latents.shape, torch.float32)
    picture = backbone.decode(latents[:1])
    assert (picture.shape, picture.dtype.name) == ((1, size, size, 3), "uint8")
    assert backbone.encode(torch.zeros(1, 3, size, size)).shape == (1, dims.latent_channels, side, side)
    assert not any(parameter.requires_grad for part in backbone.modules().values() for parameter in part.parameters())


def test_same_input_twice(backbone: Backbone) -> None:
    torch.manual_seed(1)
    first = list(_moments(backbone))[-1].latents
    torch.manual_seed(2)
    assert torch.equal(list(_moments(backbone))[-1].latents, first)
    assert torch.isfinite(first).all()


class _Failing(Extension):
    @contextmanager
    def patch(self, moment: Moment) -> Iterator[None]:
        layer = moment.backbone.token_embedding
        handle = layer.register_forward_hook(lambda *_: None)
        try:
            yield
        finally:
            handle.remove()

    def after_predict(self, moment: Moment) -> None:
        if moment.index == 2:
            raise RuntimeError("boom")


def test_bit_identical_after_use_error_and_early_close(backbone: Backbone) -> None:
    before = _state(backbone)
    latents = list(_moments(backbone))[-1].latents
    assert _state(backbone) == before
    with pytest.raises(RuntimeError, match="boom"):
        list(_moments(backbone, _Failing()))
    assert _state(backbone) == before
    moments = _moments(backbone, _Failing())
    next(moments)
    assert _state(backbone) == before
    moments.close()  # type: ignore[attr-defined]
    assert _state(backbone) == before
    assert torch.equal(list(_moments(backbone))[-1].latents, latents)
