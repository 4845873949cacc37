"""Prompt-to-prompt: which words stand for which, and that the controlled attention is the definition's."""

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
from studio.editing.prompt_to_prompt import PromptToPrompt
from studio.editing.words import align, needleman_wunsch
from studio.errors import InputError
from studio.recipe import Edit
from tests.models import fingerprint

Maker = Callable[..., Job]


def _job(make_job: Maker, exact: Backbone, prompt: str, **fields: Any) -> Job:
    return make_job(Edit(method="p2p", **fields), PromptToPrompt.layers(exact), prompt)


def _moments(job: Job, word: torch.Tensor, extensions: list[Extension]) -> Iterator[Moment]:
    states = embed(job.backbone, [job.edit.source_prompt, job.prompt], word)
    return denoise(
        job.backbone, job.read.trajectory[:1], states[:1], states[1:],
        num_inference_steps=job.steps, guidance_scale=3.0, generator=torch.Generator(),
        extensions=extensions, scheduler=ddim_scheduler(job.backbone, job.steps),
    )  # fmt: skip


def _paint(job: Job, word: torch.Tensor, extensions: list[Extension]) -> torch.Tensor:
    return list(_moments(job, word, extensions))[-1].latents


def test_needleman_wunsch() -> None:
    one, other = ["a", "photo", "of", "a", "street"], ["a", "rainy", "photo", "of", "street", "at", "night"]
    assert needleman_wunsch(one, other) == [(0, 0), (1, 2), (2, 3), (4, 4)]
    assert needleman_wunsch([], other) == []


def test_a_word_is_replaced_by_the_sound(exact: Backbone) -> None:
    found = align(exact, "a dog in the street", "a A* in the street", 2, "auto")
    assert found.changed_source == (2,)
    assert found.changed_target == found.word == (2, 3)
    assert found.matrix[2, 2] == found.matrix[2, 3] == 0.5  # both vectors of A* share what the dog got
    assert found.matrix[3, 4] == found.matrix[4, 5] == found.matrix[5, 6] == 1  # "in the street", one further on
    assert bool((found.taken == 1).all())
    assert found.emphasis(2.0).tolist()[:5] == [1, 1, 2, 2, 1]


def test_a_sound_is_added(exact: Backbone) -> None:
    found = align(exact, "a dog", "a dog with A*", 2, "auto")
    assert found.taken.tolist()[:7] == [1, 1, 1, 0, 0, 0, 1]
    assert found.matrix[3, 6] == 1  # the end mark takes the end mark's
    assert (found.changed_source, found.changed_target) == ((), (3, 4, 5))
    with pytest.raises(InputError, match="as many words"):
        align(exact, "a dog", "a dog with A*", 2, "replace")


def test_nothing_held_is_plain_generation(make_job: Maker, exact: Backbone, word: Any) -> None:
    fields: dict[str, Any] = {"source_prompt": "a dog", "keep_layout": 0, "keep_detail": 0}
    job = _job(make_job, exact, "a A*", **fields)
    assert torch.equal(_paint(job, word, PromptToPrompt().extensions(job)), _paint(job, word, []))


def test_the_controlled_row_is_the_fused_one_where_nothing_is_exchanged(
    make_job: Maker, exact: Backbone, word: Any
) -> None:
    """Computing a row again from its own map changes it by rounding only; emphasis a little above 1 asks for it."""
    job = _job(make_job, exact, "a A*", source_prompt="a dog", keep_layout=0, keep_detail=0, emphasis=1.0000001)
    assert job.edit.emphasis != 1
    assert torch.allclose(_paint(job, word, PromptToPrompt().extensions(job)), _paint(job, word, []), atol=1e-3)


@pytest.mark.parametrize("fields", [{"keep_detail": 1}, {"keep_layout": 1}, {"emphasis": 3}, {"local": True}])
def test_every_setting_acts_and_leaves_no_hook(
    fields: dict[str, Any], make_job: Maker, exact: Backbone, word: Any
) -> None:
    before = fingerprint(exact.modules()["unet"])
    settings = {"source_prompt": "a dog", "keep_layout": 0, "keep_detail": 0} | fields
    job = _job(make_job, exact, "a A*", **settings)
    assert not torch.equal(_paint(job, word, PromptToPrompt().extensions(job)), _paint(job, word, []))
    assert fingerprint(exact.modules()["unet"]) == before


def test_what_is_held_is_exactly_the_sources(make_job: Maker, exact: Backbone, word: Any) -> None:
    """Queries and keys of the self-attention in the new prompt's row, features in both, for the first half."""
    job = _job(make_job, exact, "a A*", source_prompt="a dog", keep_layout=0.5, keep_detail=0)
    unet, layers = unet_of(exact), layers_of(exact)
    attention = projections(layers.self_attention, "to_q", "to_k")

    class Witness(Extension):
        def __init__(self) -> None:
            self.seen: list[dict[str, torch.Tensor]] = []

        def patch(self, moment: Moment) -> Any:
            self.seen.append({})
            return recorded(unet, (*layers.features, *attention), self.seen[-1])

    witness = Witness()
    _paint(job, word, [*PromptToPrompt().extensions(job), witness])
    compared = 0
    for step, seen in enumerate(witness.seen, start=1):
        for name, value in seen.items():
            source = job.read.at(step, (name,))[name][0]
            if name in attention and source.shape[0] > 64:
                continue  # finer than the method holds
            rows = value if name in layers.features else value[-1:]
            assert all(torch.equal(row, source) for row in rows) == (step <= 2), (step, name)
            compared += 1
    assert compared >= 4 * (len(layers.features) + 2)


@pytest.mark.parametrize("end", ["stop", "failure"])
def test_no_hook_is_left_half_way(end: str, make_job: Maker, exact: Backbone, word: Any) -> None:
    before = fingerprint(exact.modules()["unet"])
    job = _job(make_job, exact, "a A*", source_prompt="a dog", keep_layout=1, keep_detail=1, local=True)

    class Fails(Extension):
        def after_predict(self, moment: Moment) -> None:
            raise RuntimeError("on purpose")

    extensions = PromptToPrompt().extensions(job)
    moments = _moments(job, word, extensions if end == "stop" else [*extensions, Fails()])
    if end == "stop":
        next(moments)
        assert fingerprint(exact.modules()["unet"]) == before
        moments.close()  # type: ignore[attr-defined]
    else:
        with pytest.raises(RuntimeError, match="on purpose"):
            next(moments)
    assert fingerprint(exact.modules()["unet"]) == before


def test_the_photo_must_be_described(exact: Backbone) -> None:
    with pytest.raises(InputError, match="what the photo shows"):
        PromptToPrompt.check(Edit(method="p2p"))
