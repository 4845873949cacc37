"""Prompt-to-prompt: which words stand for which, and that the controlled attention is the definition's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from studio.backbones.base import Backbone
from studio.diffusion.attention import layers_of, projections, recorded, unet_of
from studio.diffusion.inversion import ddim_scheduler
from studio.diffusion.loop import Extension, Moment, denoise
from studio.diffusion.prompt import embed
from studio.editing import prompt_to_prompt
from studio.editing.base import Job
from studio.editing.prompt_to_prompt import Control, PromptToPrompt
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


class Attended(Extension):
    """What each cross-attention of one step computed for the new prompt: queries, keys, values, and what it sends on.

    sent: layer -> [N, E], what its last projection was given when it was asked for the new prompt's row alone.
    """

    def __init__(self, backbone: Backbone, step: int) -> None:
        self._unet, self._step = unet_of(backbone), step
        self.layers = layers_of(backbone).cross_attention
        self.own: dict[str, torch.Tensor] = {}
        self.sent: dict[str, torch.Tensor] = {}

    @contextmanager
    def patch(self, moment: Moment) -> Iterator[None]:
        def keep(name: str) -> Callable[[Any, Any], None]:
            def hook(_module: Any, inputs: Any) -> None:
                if inputs[0].dim() == 2:
                    self.sent[name] = inputs[0].detach()

            return hook

        with ExitStack() as stack:
            if moment.index == self._step:
                names = projections(self.layers, "to_q", "to_k", "to_v")
                stack.enter_context(recorded(self._unet, names, self.own))
                for name in self.layers:
                    handle = self._unet.get_submodule(f"{name}.to_out.0").register_forward_pre_hook(keep(name))
                    stack.callback(handle.remove)
            yield


def _heads(backbone: Backbone, name: str) -> int:
    layer: Any = unet_of(backbone).get_submodule(name)
    return int(layer.heads)


def _softmax(query: torch.Tensor, key: torch.Tensor, heads: int) -> torch.Tensor:
    """Attention maps [H, N, L], a head at a time."""
    width = query.shape[-1] // heads
    parts = [slice(head * width, (head + 1) * width) for head in range(heads)]
    return torch.stack([(query[:, one] @ key[:, one].T / width**0.5).softmax(-1) for one in parts])


@pytest.mark.parametrize(
    ("target", "fields", "step", "columns", "factors"),
    [
        # a A*: both vectors of A* share the dog's column, what is behind them is one further on
        ("a A*", {"words": "replace", "keep_detail": 1}, 3, [0, 1, 2, 2, *range(3, 23)], {2: 0.5, 3: 0.5}),
        # a dog with A*: the new words keep their own
        ("a dog with A*", {"keep_detail": 1}, 3, [0, 1, 2, None, None, None, *range(3, 21)], {}),
        # after the held steps every word has its own, and A* is weighted
        ("a dog with A*", {"keep_detail": 0.5, "emphasis": 2.5}, 3, [None] * 24, {4: 2.5, 5: 2.5}),
        ("a dog with A*", {"keep_detail": 0.5, "emphasis": 2.5}, 2, [0, 1, 2, None, None, None, *range(3, 21)],
         {4: 2.5, 5: 2.5}),
    ],
    ids=["replace", "refine", "reweight", "refine and reweight"],
)  # fmt: skip
def test_the_controlled_attention_is_the_definitions(
    target: str,
    fields: dict[str, Any],
    step: int,
    columns: list[int | None],
    factors: dict[int, float],
    make_job: Maker,
    exact: Backbone,
    word: Any,
) -> None:
    job = _job(make_job, exact, target, source_prompt="a dog", keep_layout=0, **fields)
    seen = Attended(exact, step)
    _paint(job, word, [seen, *PromptToPrompt().extensions(job)])
    assert set(seen.sent) == set(seen.layers)
    for name in seen.layers:
        heads = _heads(exact, name)
        query, key, value = (seen.own[f"{name}.{which}"][-1] for which in ("to_q", "to_k", "to_v"))
        before = job.read.at(step, (f"{name}.to_q", f"{name}.to_k"))
        then_query, then_key = (one[0] for one in before.values())
        then, own = _softmax(then_query, then_key, heads), _softmax(query, key, heads)
        maps = torch.stack(
            [own[..., place] if one is None else then[..., one] for place, one in enumerate(columns)], dim=-1
        )
        for place, factor in factors.items():
            maps[..., place] *= factor
        width = value.shape[-1] // heads
        expected = torch.cat([maps[head] @ value[:, head * width : (head + 1) * width] for head in range(heads)], -1)
        assert torch.allclose(seen.sent[name], expected, atol=1e-5), name


def test_fused_attention_stays_in_use(make_job: Maker, exact: Backbone, word: Any, fused_calls: list[int]) -> None:
    """For all rows of every layer; only the new prompt's row is computed again where its map must be seen."""
    job = _job(make_job, exact, "a A*", source_prompt="a dog", keep_layout=1, keep_detail=1, local=True)
    fused_calls.clear()  # of reading the photo
    _paint(job, word, [])
    before = len(fused_calls)
    _paint(job, word, PromptToPrompt().extensions(job))
    layers = layers_of(exact)
    assert before >= job.steps * (len(layers.self_attention) + len(layers.cross_attention))
    assert len(fused_calls) == 2 * before


def test_the_same_words_and_everything_held_give_the_photo_back(make_job: Maker, exact: Backbone, word: Any) -> None:
    """Error to the photo's latents at most 0.5 dB above that of plain reconstruction."""
    job = _job(make_job, exact, "a dog", source_prompt="a dog", keep_layout=1, keep_detail=1)
    held, plain = _paint(job, word, PromptToPrompt().extensions(job)), _paint(job, word, [])
    error, floor = (float((one - job.photo).square().mean()) for one in (held, plain))
    assert 10 * torch.log10(torch.tensor(error / floor)) <= 0.5
    assert floor < 0.05


def test_the_mask_is_where_the_exchanged_words_stand(
    make_job: Maker, exact: Backbone, word: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LocalBlend by its definition, and outside of it the latents are the photo's, number for number."""
    assert prompt_to_prompt.MASK_LEVEL == 0.3
    level = 0.99  # an untrained model looks almost evenly at all places
    monkeypatch.setattr(prompt_to_prompt, "MASK_LEVEL", level)
    job = _job(make_job, exact, "a A*", source_prompt="a dog", keep_layout=0, keep_detail=0, local=True)
    high, wide = job.photo.shape[-2:]
    control, keep = PromptToPrompt().extensions(job)
    assert isinstance(control, Control)
    assert control.mask(1) is None  # nothing was seen yet
    witnesses = [Attended(exact, step) for step in range(1, job.steps + 1)]
    total, parts = torch.zeros(2, high, wide), list[float]()
    for moment, seen in zip(_moments(job, word, [*witnesses, control, keep]), witnesses, strict=True):
        for name in seen.layers:
            heads = _heads(exact, name)
            before = job.read.at(moment.index, (f"{name}.to_q", f"{name}.to_k"))
            then_query, then_key = (one[0] for one in before.values())
            then = _softmax(then_query, then_key, heads)[..., 2].mean(0)
            own = _softmax(seen.own[f"{name}.to_q"][-1], seen.own[f"{name}.to_k"][-1], heads)[..., 2:4].sum(-1).mean(0)
            rows = round((high * len(own) / wide) ** 0.5)
            both = torch.stack([then, own]).reshape(1, 2, rows, -1)
            total += F.interpolate(both, (high, wide), mode="bilinear")[0]
        spread = F.max_pool2d(total, 3, stride=1, padding=1)
        expected = (spread / spread.amax(dim=(1, 2), keepdim=True) > level).any(0)
        mask = control.mask(moment.index)
        assert mask is not None
        assert torch.equal(mask[0, 0].bool(), expected)
        parts.append(float(expected.float().mean()))
        around = job.read.trajectory[moment.index]
        assert torch.equal(moment.latents[0][:, ~expected], around[:, ~expected])
        assert not torch.equal(moment.latents[0][:, expected], around[:, expected])
    assert all(0 < part < 1 for part in parts), parts  # there is an outside


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
