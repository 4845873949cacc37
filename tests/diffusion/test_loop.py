"""The denoising loop: against Diffusers' own arithmetic, its named moments, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_euler_ancestral_discrete import EulerAncestralDiscreteScheduler
from diffusers.schedulers.scheduling_pndm import PNDMScheduler
from torch import Tensor

from studio.backbones import load_backbone
from studio.backbones.base import Backbone, TextStates
from studio.device import pick_device
from studio.diffusion.guidance import Guidance
from studio.diffusion.loop import Extension, Moment, denoise, initial_noise
from studio.diffusion.prompt import embed
from studio.errors import InputError
from tests.models import WIDTH, build_tiny_stable_diffusion, fingerprint


def _states(backbone: Backbone) -> TextStates:
    word = 0.3 * torch.randn(1, WIDTH, generator=torch.Generator().manual_seed(5))
    return embed(backbone, ["blurry", "a photo of A*"], word)


def _loop(backbone: Backbone, seed: int = 0, steps: int = 4, scale: float = 3.0, **more: Any) -> Iterator[Moment]:
    generator = torch.Generator().manual_seed(seed)
    states = _states(backbone)
    noise = initial_noise(backbone, 64, 64, generator)
    return denoise(
        backbone, noise, states[:1], states[1:],
        num_inference_steps=steps, guidance_scale=scale, generator=generator, **more,
    )  # fmt: skip


def _latents(backbone: Backbone, **more: Any) -> Tensor:
    return list(_loop(backbone, **more))[-1].latents


@pytest.fixture(scope="module")
def exact_backbone(tiny_folder: Path) -> Backbone:
    """The tiny model in float32, where sums can be compared closely."""
    choice = pick_device("cpu")
    return load_backbone(str(tiny_folder), choice._replace(dtype=torch.float32))


@pytest.mark.parametrize("prediction_type", ["v_prediction", "epsilon"])
def test_ddim_against_its_equation(prediction_type: str, tmp_path: Path) -> None:
    """Song et al., "Denoising Diffusion Implicit Models", equation 12 with sigma = 0, written out here."""
    scheduler = DDIMScheduler(
        beta_schedule="scaled_linear", prediction_type=prediction_type, clip_sample=False, set_alpha_to_one=False
    )
    folder = build_tiny_stable_diffusion(tmp_path / "model", scheduler=scheduler)
    backbone = load_backbone(str(folder), pick_device("cpu")._replace(dtype=torch.float32))
    steps, scale = 4, 2.5
    states = _states(backbone)
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    alpha_bar = scheduler.alphas_cumprod.double()
    times = [750, 500, 250, 0]
    for index, time in enumerate(times):
        negative, positive = (backbone.predict(x, torch.tensor(time), states[row : row + 1]) for row in (0, 1))
        output = (negative + scale * (positive - negative)).double()
        a, b = alpha_bar[time].sqrt(), (1 - alpha_bar[time]).sqrt()
        if prediction_type == "epsilon":
            epsilon = output
            x0 = (x.double() - b * epsilon) / a
        else:  # Salimans and Ho, "Progressive Distillation", appendix D: v = a epsilon - b x0
            x0 = a * x.double() - b * output
            epsilon = a * output + b * x.double()
        before = alpha_bar[times[index + 1]] if index + 1 < steps else alpha_bar[0]
        x = (before.sqrt() * x0 + (1 - before).sqrt() * epsilon).float()
    assert torch.allclose(_latents(backbone, scale=scale), x, atol=1e-4)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Diffusers with numpy 2
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (DPMSolverMultistepScheduler, {}),
        (EulerAncestralDiscreteScheduler, {}),
        (PNDMScheduler, {"skip_prk_steps": True}),
    ],
)
def test_other_schedulers_of_diffusers(kind: Any, options: dict[str, Any], tmp_path: Path) -> None:
    folder = build_tiny_stable_diffusion(tmp_path, scheduler=kind(**options))
    backbone = load_backbone(str(folder), pick_device("cpu"))
    torch.manual_seed(1)
    first = _latents(backbone, seed=3)
    torch.manual_seed(2)  # a scheduler that draws noise must draw it from the picture's generator
    state = torch.random.get_rng_state()
    assert torch.equal(_latents(backbone, seed=3), first)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.isfinite(first).all()
    assert not torch.equal(_latents(backbone, seed=4), first)


def test_an_unknown_scheduler_is_named(tmp_path: Path) -> None:
    folder = build_tiny_stable_diffusion(tmp_path)
    config = folder / "scheduler" / "scheduler_config.json"
    config.write_text(config.read_text().replace("DDIMScheduler", "MagicScheduler"))
    with pytest.raises(InputError, match="MagicScheduler"):
        load_backbone(str(folder), pick_device("cpu")).scheduler()


def test_too_many_steps_for_the_scheduler(tmp_path: Path) -> None:
    scheduler = DDIMScheduler(num_train_timesteps=10)
    backbone = load_backbone(str(build_tiny_stable_diffusion(tmp_path, scheduler=scheduler)), pick_device("cpu"))
    with pytest.raises(InputError, match="cannot do 20 steps"):
        next(_loop(backbone, steps=20))


def test_guidance() -> None:
    negative, silent, positive = (TextStates(torch.full((1, 2, 3), value)) for value in (0.0, 0.5, 1.0))
    for guidance, values in ((Guidance(1), [1.0]), (Guidance(7.5), [0.0, 1.0]), (Guidance(7.5, 0.5), [0.0, 0.5, 1.0])):
        states = guidance.states(negative, silent, positive)
        assert (states.tokens[:, 0, 0].tolist(), states.pooled, states.mask) == (values, None, None)
    prediction = torch.stack([torch.full((4, 8, 8), 2.0), torch.full((4, 8, 8), 3.0)])
    assert torch.equal(Guidance(0).combine(prediction), prediction[:1])
    assert torch.equal(Guidance(4).combine(prediction), torch.full((1, 4, 8, 8), 6.0))
    assert torch.equal(Guidance(1).combine(prediction[1:]), prediction[1:])
    three = torch.stack([torch.full((4, 8, 8), value) for value in (2.0, 5.0, 3.0)])  # negative, words alone, all
    assert torch.equal(Guidance(4, 0.0).combine(three), torch.full((1, 4, 8, 8), 14.0))  # the sound's part is gone
    assert torch.equal(Guidance(4, 0.5).combine(three), torch.full((1, 4, 8, 8), 10.0))
    assert Guidance(1, 0.5).states(negative, silent, positive).tokens[:, 0, 0].tolist() == [0.5, 1.0]
    assert torch.equal(Guidance(1, 0.5).combine(three[1:]), torch.full((1, 4, 8, 8), 4.0))
    almost = Guidance(4, 1 + 1e-6).combine(three)
    assert torch.allclose(almost, torch.full((1, 4, 8, 8), 6.0), atol=1e-4)  # runs into ordinary guidance


def test_guidance_of_one_is_the_prompt_alone(exact_backbone: Backbone) -> None:
    assert torch.allclose(
        _latents(exact_backbone, scale=1.0), _latents(exact_backbone, scale=1.0 + 1e-6), atol=1e-3
    )  # fmt: skip


def test_moments_come_in_order(tiny_backbone: Backbone) -> None:
    seen: list[str] = []

    class Watcher(Extension):
        @contextmanager
        def patch(self, moment: Moment) -> Iterator[None]:
            seen.append(f"open {moment.index}")
            yield
            seen.append("close")

        def before_predict(self, moment: Moment) -> None:
            assert moment.prediction is None
            seen.append("before")

        def after_predict(self, moment: Moment) -> None:
            assert moment.prediction is not None
            assert moment.prediction.shape == moment.latents.shape == (1, 4, 8, 8)
            seen.append("predicted")

        def after_step(self, moment: Moment) -> None:
            assert moment.denoised.shape == (1, 4, 8, 8)
            seen.append("stepped")

    plain = _latents(tiny_backbone, steps=2)
    assert torch.equal(_latents(tiny_backbone, steps=2, extensions=[Watcher()]), plain)
    one = ["before", "predicted", "stepped", "close"]
    assert seen == ["open 1", *one, "open 2", *one]


class _Hooking(Extension):
    """Puts a hook on the U-Net's middle, and throws at a chosen step."""

    def __init__(self, backbone: Backbone, fail_at: int = 0) -> None:
        self.middle: Any = backbone.modules()["unet"].mid_block
        self.fail_at = fail_at
        self.calls = 0

    @contextmanager
    def patch(self, moment: Moment) -> Iterator[None]:
        handle = self.middle.register_forward_hook(self._hook)
        try:
            yield
        finally:
            handle.remove()

    def _hook(self, _module: Any, _inputs: Any, output: Tensor) -> Tensor:
        self.calls += 1
        return output * 0.5

    def after_predict(self, moment: Moment) -> None:
        if moment.index == self.fail_at:
            raise RuntimeError("boom")


@pytest.mark.parametrize("how", ["whole", "error", "closed"])
def test_the_backbone_is_left_as_it_was(how: str, tiny_backbone: Backbone) -> None:
    before = {name: fingerprint(module) for name, module in tiny_backbone.modules().items()}
    plain = _latents(tiny_backbone)
    hooking = _Hooking(tiny_backbone, fail_at=2 if how == "error" else 0)
    loop = _loop(tiny_backbone, extensions=[hooking])
    if how == "error":
        with pytest.raises(RuntimeError, match="boom"):
            list(loop)
    elif how == "closed":
        next(loop)
        assert {name: fingerprint(module) for name, module in tiny_backbone.modules().items()} == before  # and waiting
        loop.close()  # type: ignore[attr-defined]
    else:
        assert not torch.equal(list(loop)[-1].latents, plain)
    assert hooking.calls >= 1
    assert {name: fingerprint(module) for name, module in tiny_backbone.modules().items()} == before
    assert torch.is_grad_enabled()
    assert tiny_backbone.lock.acquire(timeout=1)
    tiny_backbone.lock.release()
    assert torch.equal(_latents(tiny_backbone), plain)


def test_noise_belongs_to_the_seed(tiny_backbone: Backbone) -> None:
    def draw(seed: int, width: int = 64) -> Tensor:
        return initial_noise(tiny_backbone, width, 128, torch.Generator().manual_seed(seed))

    torch.manual_seed(9)
    state = torch.random.get_rng_state()
    assert draw(1).shape == (1, 4, 16, 8)
    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert torch.equal(torch.random.get_rng_state(), state)
