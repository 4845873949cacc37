"""Prompts with A*: "a (street:1.2) in the style of A*" -> the states that the U-Net reads.

A* may stand anywhere and several times. "(words:1.3)" gives words, or A*, more weight and "(words:0.7)" less; such
groups nest and multiply. Brackets without a weight are ordinary characters, and so are "\\(" and "\\)".

Letters: B prompts, L text positions, n vectors of one word A*, D text width, E context width.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from studio.backbones.base import Backbone, TextStates
from studio.errors import InputError

MAX_WEIGHT = 3.0  # beyond it pictures of every model fall apart

_SIGNS = re.compile(
    r"(?P<escape>\\[()\\])|(?P<sound>(?<![A-Za-z0-9])[Aa]\*)|(?P<open>\()|(?P<weight>:\s*(?P<number>[-+]?\d[\d.,]*)\s*\))"
    r"|(?P<close>\))"
)


@dataclass(frozen=True)
class Piece:
    """A stretch of a prompt: its text (None where it is A*) and its weight (0..3, 1 = as it is)."""

    text: str | None
    weight: float = 1.0


@dataclass(frozen=True)
class Tokens:
    """A prompt as the text encoder gets it.

    ids: [L] token ids, marks and padding included.  weights: [L], 1 for marks and padding.
    word_positions: where A* stands, n positions for each A*, in order.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    word_positions: tuple[int, ...]


def has_word(prompt: str) -> bool:
    """Whether the prompt holds an A*. Raises InputError for a weight that is not one."""
    return any(piece.text is None for piece in parse(prompt))


def parse(prompt: str) -> tuple[Piece, ...]:
    """Cut a prompt into pieces of equal weight. Raises InputError for a weight that is not a number in 0..3."""
    groups: list[list[Piece]] = [[]]  # the innermost open bracket is last
    end = 0
    for match in _SIGNS.finditer(prompt):
        groups[-1].append(Piece(prompt[end : match.start()]))
        end = match.end()
        if match["escape"]:
            groups[-1].append(Piece(match["escape"][1]))
        elif match["sound"]:
            groups[-1].append(Piece(None))
        elif match["open"]:
            groups.append([])
        elif len(groups) == 1:  # it closes nothing
            groups[-1].append(Piece(match[0]))
        else:
            inner = groups.pop()
            if match["weight"]:
                weight = _weight(match["number"])
                groups[-1] += [Piece(piece.text, _allowed(piece.weight * weight)) for piece in inner]
            else:
                groups[-1] += [Piece("("), *inner, Piece(")")]
    groups[-1].append(Piece(prompt[end:]))
    pieces = groups[0]
    for unclosed in groups[1:]:
        pieces += [Piece("("), *unclosed]
    return tuple(_merged(pieces))


def tokenise(prompt: str, backbone: Backbone, word_length: int) -> Tokens:
    """Turn a prompt into ids for the text encoder, with `word_length` (n) filler tokens for each A*.

    The vocabulary is not touched. Raises InputError with the counts when the prompt is too long.
    """
    ids: list[int] = []
    weights: list[float] = []
    positions: list[int] = []
    marks = backbone.marks
    start = () if marks.start is None else (marks.start,)
    for piece in parse(prompt):
        if piece.text is None:
            positions += range(len(start) + len(ids), len(start) + len(ids) + word_length)
            found = [marks.filler] * word_length
        else:
            found = backbone.token_ids(piece.text)
        ids += found
        weights += [piece.weight] * len(found)
    room = backbone.dims.max_positions - len(start) - 1
    if len(ids) > room:
        shown = prompt if len(prompt) <= 30 else f"{prompt[:29]}…"
        sound = f" ({len(positions)} of them for A*)" if positions else ""
        raise InputError(
            f"The prompt {shown!r} is too long: it has {len(ids)} tokens{sound} and this model reads {room}. "
            f"Leave out about {len(ids) - room} words."
        )
    padding = room - len(ids)
    return Tokens(
        ids=(*start, *ids, marks.end, *[marks.pad] * padding),
        weights=(*[1.0] * len(start), *weights, 1.0, *[1.0] * padding),
        word_positions=tuple(positions),
    )


@contextmanager
def word_in_place(token_embedding: nn.Module, rows: Tensor, positions: Tensor, vectors: Tensor) -> Iterator[None]:
    """While the context is open, the token embedding writes A* where it belongs.

    rows, positions: int64 [P], which prompt of the batch and where in it.  vectors: [P, D].
    Works on the layer's output, so no weight and no id changes, and gradients reach `vectors` (for training).
    """

    def write(_module: nn.Module, _inputs: Any, embedded: Tensor) -> Tensor:
        return embedded.index_put((rows, positions), vectors.to(embedded))

    handle = token_embedding.register_forward_hook(write)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def word_in_every_place(backbone: Backbone, rows: Tensor, positions: Tensor, vectors: Tensor) -> Iterator[None]:
    """`word_in_place` for a whole model: each of its text encoders reads its own part of the word."""
    layers = backbone.token_embeddings
    widths = [int(layer.embedding_dim) for layer in layers]  # type: ignore[arg-type]  # nn.Embedding, all of them
    with ExitStack() as stack:
        for layer, part in zip(layers, vectors.split(widths, dim=1), strict=True):
            stack.enter_context(word_in_place(layer, rows, positions, part))
        yield


def embed(backbone: Backbone, prompts: Sequence[str], word: Tensor) -> TextStates:
    """B prompts and the word's vectors float32 [n, D] -> B rows of states.

    Raises InputError when a prompt is too long, or when the word was made for another text width.
    """
    if word.ndim != 2 or word.shape[1] != backbone.dims.text_width:
        raise InputError(
            f"The word A* has the form {list(word.shape)}, and this model needs vectors of width "
            f"{backbone.dims.text_width}. Use the adapter and model it was made with."
        )
    device = backbone.choice.device
    tokens = [tokenise(prompt, backbone, len(word)) for prompt in prompts]
    places = [
        (row, position, index % len(word))
        for row, prompt in enumerate(tokens)
        for index, position in enumerate(prompt.word_positions)
    ]
    rows, positions, vectors = torch.tensor(places, dtype=torch.int64, device=device).reshape(-1, 3).unbind(1)
    ids = torch.tensor([prompt.ids for prompt in tokens], device=device)
    with backbone.lock, word_in_every_place(backbone, rows, positions, word.to(device)[vectors]):
        states = backbone.encode_text(ids)
    weights = torch.tensor([prompt.weights for prompt in tokens], device=device)
    return states.replace(tokens=weigh(states.tokens, weights))


def embed_each(backbone: Backbone, prompt: str, words: Tensor) -> TextStates:
    """One prompt with B different words, float32 [B, n, D] -> B rows of states, with gradients to the words.

    A weight in the prompt is not applied. Raises InputError as `embed` does.
    """
    tokens, device = tokenise(prompt, backbone, words.shape[1]), backbone.choice.device
    count, each = len(words), len(tokens.word_positions)
    rows = torch.arange(count, device=device).repeat_interleave(each)
    positions = torch.tensor(tokens.word_positions, dtype=torch.int64, device=device).repeat(count)
    vectors = words.repeat(1, each // max(1, words.shape[1]), 1).flatten(0, 1)
    ids = torch.tensor(tokens.ids, device=device).expand(count, -1)
    with backbone.lock, word_in_every_place(backbone, rows, positions, vectors.to(device)):
        return backbone.encode_text(ids)


def weigh(states: Tensor, weights: Tensor) -> Tensor:
    """Scale text states [B, L, E] by weights [B, L], keeping each prompt's mean magnitude.

    AUTOMATIC1111's web UI introduced this and restores the plain mean; text states end in a layer norm, so their mean
    can be near 0 and the ratio of two such means anything. The mean of the absolute values has no such trouble.
    """
    if bool((weights == 1).all()):
        return states
    scaled = states * weights[..., None]
    magnitude = states.abs().mean(dim=(1, 2), keepdim=True)
    return scaled * (magnitude / scaled.abs().mean(dim=(1, 2), keepdim=True).clamp_min(1e-12))


def _weight(number: str) -> float:
    try:
        return _allowed(float(number))
    except ValueError:
        return _allowed(number)


def _allowed(weight: float | str) -> float:
    """The weight, if it is one. Nested groups multiply, and their product must be one too."""
    if isinstance(weight, str) or not 0 <= weight <= MAX_WEIGHT:
        shown = weight if isinstance(weight, str) else f"{weight:g}"
        raise InputError(
            f"The prompt's weight {shown} is not a number from 0 to {MAX_WEIGHT:g}. "
            r"Write it like (words:1.3), or \( and \) for ordinary brackets."
        )
    return weight


def _merged(pieces: list[Piece]) -> Iterator[Piece]:
    """Join neighbouring texts of equal weight, so that cutting a prompt does not change its tokens."""
    held: Piece | None = None
    for piece in pieces:
        if piece.text == "":
            continue
        if held is not None and held.text is not None and piece.text is not None and held.weight == piece.weight:
            held = Piece(held.text + piece.text, held.weight)
            continue
        if held is not None:
            yield held
        held = piece
    if held is not None:
        yield held
