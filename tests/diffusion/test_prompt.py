"""Prompts with A*: cutting, weights, tokens, and the hook that places the word without touching the vocabulary."""

from __future__ import annotations

import pytest
import torch

from studio.backbones.base import Backbone
from studio.diffusion.prompt import Piece, embed, has_word, parse, tokenise, weigh, word_in_place
from studio.errors import InputError
from tests.models import POSITIONS, WIDTH, fingerprint

P = Piece


def _word(count: int = 2, seed: int = 0) -> torch.Tensor:
    return 0.3 * torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("prompt", "pieces"),
    [
        ("A*", [P(None)]),
        ("a photo of A*", [P("a photo of "), P(None)]),
        ("A*, A* and a*", [P(None), P(", "), P(None), P(" and "), P(None)]),
        ("a photo of (A*:1.3) at night", [P("a photo of "), P(None, 1.3), P(" at night")]),
        ("(a red dog:0.5) in A*", [P("a red dog", 0.5), P(" in "), P(None)]),
        ("(a (red:2) dog:1.5)", [P("a ", 1.5), P("red", 3.0), P(" dog", 1.5)]),
        ("(in the style of A*:1.2)", [P("in the style of ", 1.2), P(None, 1.2)]),
        ("a dog (red) and A*", [P("a dog (red) and "), P(None)]),
        ("a dog (red: not blue)", [P("a dog (red: not blue)")]),
        (r"a dog \(red:1.2\)", [P("a dog (red:1.2)")]),
        ("a dog :1.2) (and", [P("a dog :1.2) (and")]),
        ("(A*:0)", [P(None, 0.0)]),
        ("(A*: 1.5 )", [P(None, 1.5)]),
        ("USA* and A*", [P("USA* and "), P(None)]),
        ("a street", [P("a street")]),
        ("((A*:1.1):1.1)", [P(None, 1.1 * 1.1)]),
    ],
)
def test_parse(prompt: str, pieces: list[Piece]) -> None:
    assert list(parse(prompt)) == pieces
    assert has_word(prompt) == any(piece.text is None for piece in pieces)


@pytest.mark.parametrize("weight", ["4", "-1", "1,3", "1.2.3", "99999999999"])
def test_a_weight_is_a_number_from_0_to_3(weight: str) -> None:
    with pytest.raises(InputError, match="from 0 to 3"):
        parse(f"a photo of (A*:{weight})")
    with pytest.raises(InputError, match="weight 4 is not a number from 0 to 3"):
        parse("((A*:2):2)")


@pytest.mark.parametrize(
    "prompt",
    ["a photo of the red dog", "a street, at night (dog)", "Äpfel 日本 🐕 don't", "<|endoftext|> a dog", "  "],
)
def test_a_prompt_without_the_word_has_the_tokenizer_s_ids(prompt: str, tiny_backbone: Backbone) -> None:
    tokenizer = tiny_backbone.tokenizer  # type: ignore[attr-defined]
    expected = tokenizer(
        prompt, padding="max_length", max_length=POSITIONS, truncation=True, split_special_tokens=True
    ).input_ids
    tokens = tokenise(prompt, tiny_backbone, 2)
    if len(tokenizer(prompt, split_special_tokens=True).input_ids) <= POSITIONS:
        assert list(tokens.ids) == expected
    assert set(tokens.weights) == {1.0}
    assert tokens.word_positions == ()


def test_where_the_word_stands(tiny_backbone: Backbone) -> None:
    tokens = tokenise("A* in the style of (A*:1.5)", tiny_backbone, 2)
    marks = tiny_backbone.marks
    assert len(tokens.ids) == len(tokens.weights) == POSITIONS
    assert tokens.word_positions == (1, 2, 7, 8)
    assert [tokens.ids[position] for position in tokens.word_positions] == [marks.filler] * 4
    assert [tokens.weights[position] for position in tokens.word_positions] == [1, 1, 1.5, 1.5]
    assert tokens.ids[0] == marks.start
    assert tokens.ids[9] == marks.end
    assert marks.filler not in (marks.start, marks.end, marks.pad)


def test_a_long_prompt_is_refused_with_its_counts(tiny_backbone: Backbone) -> None:
    assert len(tokenise("dog " * (POSITIONS - 4) + "A*", tiny_backbone, 2).ids) == POSITIONS
    with pytest.raises(InputError, match=r"it has 24 tokens \(2 of them for A\*\) and this model reads 22"):
        tokenise("dog " * (POSITIONS - 2) + "A*", tiny_backbone, 2)


def test_placing_the_word_equals_writing_the_embeddings(tiny_backbone: Backbone) -> None:
    """The hook gives what the text model computes when it is handed those embeddings: difference 0."""
    word = _word()
    tokens = tokenise("a photo of A* at night", tiny_backbone, 2)
    ids = torch.tensor([tokens.ids])
    table = tiny_backbone.token_embedding
    vectors = table(ids).clone()
    vectors[0, list(tokens.word_positions)] = word
    handle = table.register_forward_hook(lambda *_: vectors)
    try:
        expected = tiny_backbone.encode_text(ids).tokens
    finally:
        handle.remove()
    assert torch.equal(embed(tiny_backbone, ["a photo of A* at night"], word).tokens, expected)


def test_the_word_changes_the_states_and_nothing_else(tiny_backbone: Backbone) -> None:
    before = {name: fingerprint(module) for name, module in tiny_backbone.modules().items()}
    prompts = ["blurry", "a photo of A* and A*"]
    states = embed(tiny_backbone, prompts, _word()).tokens
    other = embed(tiny_backbone, prompts, _word(seed=1)).tokens
    assert states.shape == (2, POSITIONS, tiny_backbone.dims.context_width)
    assert states.dtype == torch.float32
    assert torch.equal(states[0], other[0])
    assert not torch.equal(states[1], other[1])
    assert torch.equal(states, embed(tiny_backbone, prompts, _word()).tokens)
    assert {name: fingerprint(module) for name, module in tiny_backbone.modules().items()} == before


def test_the_hook_leaves_after_an_error(tiny_backbone: Backbone) -> None:
    table = tiny_backbone.token_embedding
    place = torch.tensor([0])
    with pytest.raises(RuntimeError, match="boom"), word_in_place(table, place, place, _word(1)):
        raise RuntimeError("boom")
    assert not table._forward_hooks


def test_gradients_reach_the_word_and_nothing_else(tiny_backbone: Backbone) -> None:
    word = _word(1).requires_grad_()
    table = tiny_backbone.token_embedding
    ids = torch.tensor([tokenise("a photo of A*", tiny_backbone, 1).ids])
    with word_in_place(table, torch.tensor([0]), torch.tensor([4]), word):
        tiny_backbone.modules()["text_encoder"](ids).last_hidden_state.square().sum().backward()
    assert word.grad is not None
    assert word.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in tiny_backbone.modules()["text_encoder"].parameters())


@pytest.mark.parametrize("shape", [(2, WIDTH + 1), (WIDTH,)])
def test_a_word_of_another_width_is_refused(shape: tuple[int, ...], tiny_backbone: Backbone) -> None:
    with pytest.raises(InputError, match=f"needs vectors of width {WIDTH}"):
        embed(tiny_backbone, ["A*"], torch.zeros(shape))


def test_weights_keep_the_magnitude() -> None:
    states = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    weights = torch.ones(2, 5)
    assert weigh(states, weights) is states
    weights[1, 2] = 2.0
    weighed = weigh(states, weights)
    assert torch.allclose(weighed.abs().mean(dim=(1, 2)), states.abs().mean(dim=(1, 2)))
    assert torch.allclose(weighed[0], states[0])
    ratio = weighed[1] / states[1]
    assert torch.allclose(ratio[2], 2 * ratio[0, 0].expand(8))
    assert ratio[0, 0] < 1
