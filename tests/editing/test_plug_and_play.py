"""Plug-and-play against its definition, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from studio.backbones.base import Backbone
from studio.diffusion.attention import layers_of, projections, recorded, unet_of
from studio.diffusion.inversion import ddim_scheduler
from studio.diffusion.loop import Extension, Moment, denoise
from studio.diffusion.prompt import embed
from studio.editing.base import Job
from studio.editing.plug_and_play import PlugAndPlay
from studio.recipe import Edit
from tests.models import fingerprint

SCALE = 3.0
Maker = Callable[..., Job]


def _job(make_job: Maker, exact: Backbone, **fields: Any) -> Job:
    return make_job(Edit(**fields), PlugAndPlay.layers(exact))


def _paint(job: Job, word: torch.Tensor, extensions: list[Extension], prompt: str | None = None) -> Iterator[Moment]:
    states = embed(job.backbone, [job.edit.source_prompt, job.prompt if prompt is None else prompt], word)
    return denoise(
        job.backbone, job.read.trajectory[:1], states[:1], states[1:],
        num_inference_steps=job.steps, guidance_scale=SCALE, generator=torch.Generator(),
        extensions=extensions, scheduler=ddim_scheduler(job.backbone, job.steps),
    )  # fmt: skip


def _last(moments: Iterator[Moment]) -> torch.Tensor:
    return list(moments)[-1].latents


def test_nothing_held_is_plain_generation_from_the_photos_noise(make_job: Maker, exact: Backbone, word: Any) -> None:
    job = _job(make_job, exact, keep_layout=0, keep_detail=0)
    assert torch.equal(_last(_paint(job, word, PlugAndPlay().extensions(job))), _last(_paint(job, word, [])))


def test_holding_changes_the_picture(make_job: Maker, exact: Backbone, word: Any) -> None:
    free = _job(make_job, exact, keep_layout=0, keep_detail=0)
    for fields in ({"keep_layout": 1, "keep_detail": 0}, {"keep_layout": 0, "keep_detail": 1}):
        job = _job(make_job, exact, **fields)
        assert not torch.equal(_last(_paint(job, word, PlugAndPlay().extensions(job))), _last(_paint(free, word, [])))


def test_the_same_words_and_everything_held_give_the_photo_back(make_job: Maker, exact: Backbone, word: Any) -> None:
    """Error to the photo's latents at most 0.5 dB above that of plain reconstruction."""
    job = _job(make_job, exact, source_prompt="a dog", keep_layout=1, keep_detail=1)
    held = _last(_paint(job, word, PlugAndPlay().extensions(job), "a dog"))
    plain = _last(_paint(job, word, [], "a dog"))
    error, floor = (float((one - job.photo).square().mean()) for one in (held, plain))
    assert 10 * torch.log10(torch.tensor(error / floor)) <= 0.5
    assert floor < 0.05  # of noise with a variance of 1; an untrained model is far from smooth


@pytest.mark.parametrize(("layout", "detail", "layout_steps", "detail_steps"), [(0.5, 0.8, 2, 3), (1, 0.25, 4, 1)])
def test_what_is_taken_over_is_exactly_the_sources(
    layout: float, detail: float, layout_steps: int, detail_steps: int, make_job: Maker, exact: Backbone, word: Any
) -> None:
    job, unet = _job(make_job, exact, keep_layout=layout, keep_detail=detail), unet_of(exact)
    layers = layers_of(exact)
    attention = projections(layers.layout, "to_q", "to_k")

    class Witness(Extension):
        """Registered after the injection, so it sees what the layers give in the end."""

        def __init__(self) -> None:
            self.seen: list[dict[str, torch.Tensor]] = []

        def patch(self, moment: Moment) -> Any:
            self.seen.append({})
            return recorded(unet, (*layers.features, *attention), self.seen[-1])

    witness = Witness()
    list(_paint(job, word, [*PlugAndPlay().extensions(job), witness]))
    for step, seen in enumerate(witness.seen, start=1):
        for name, value in seen.items():
            held = step <= (detail_steps if name in layers.features else layout_steps)
            source = job.read.at(step, (name,))[name]
            assert all(torch.equal(row, source[0]) for row in value) == held, (step, name)


def test_fused_attention_stays_in_use(make_job: Maker, exact: Backbone, word: Any, fused_calls: list[int]) -> None:
    job = _job(make_job, exact, keep_layout=1, keep_detail=1)
    fused_calls.clear()  # of reading the photo
    list(_paint(job, word, []))
    before = len(fused_calls)
    list(_paint(job, word, PlugAndPlay().extensions(job)))
    layers = layers_of(exact)
    attentions = len(layers.self_attention) + len(layers.cross_attention)
    assert len(fused_calls) - before >= job.steps * attentions


@pytest.mark.parametrize("end", ["success", "stop", "failure"])
def test_no_hook_is_left(end: str, make_job: Maker, exact: Backbone, word: Any) -> None:
    before = fingerprint(exact.modules()["unet"])
    job = _job(make_job, exact, keep_layout=1, keep_detail=1)

    class Fails(Extension):
        def after_predict(self, moment: Moment) -> None:
            raise RuntimeError("on purpose")

    extensions = PlugAndPlay().extensions(job)
    if end == "success":
        list(_paint(job, word, extensions))
    elif end == "stop":
        moments = _paint(job, word, extensions)
        next(moments)
        assert fingerprint(exact.modules()["unet"]) == before  # between two steps, too
        moments.close()  # type: ignore[attr-defined]
    else:
        with pytest.raises(RuntimeError, match="on purpose"):
            list(_paint(job, word, [*extensions, Fails()]))
    assert fingerprint(exact.modules()["unet"]) == before
