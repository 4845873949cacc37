"""Which word of the new prompt takes the place of which word of the old one.

Letters: L text positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from studio.backbones.base import Backbone
from studio.diffusion.prompt import parse, tokenise
from studio.errors import InputError


@dataclass(frozen=True)
class Alignment:
    """How the source's attention is carried over to the target's words.

    matrix: float32 [L, L], source position x target position: which source columns make up a target column.
    taken: float32 [L], 1 where the target takes the source's attention, 0 where it keeps its own (new words).
    changed_source, changed_target: positions of words that the other prompt does not have.
    word: positions of A* in the target.
    """

    matrix: Tensor
    taken: Tensor
    changed_source: tuple[int, ...]
    changed_target: tuple[int, ...]
    word: tuple[int, ...]

    def emphasis(self, factor: float) -> Tensor:
        """Float32 [L]: how much each column is multiplied when A* gets `factor`."""
        weights = torch.ones(len(self.taken))
        weights[list(self.word)] = factor
        return weights


Span = tuple[int, ...]


def align(
    backbone: Backbone,
    source: str,
    target: str,
    word_length: int,
    how: Literal["auto", "replace", "refine"],
    source_word_length: int = 0,
) -> Alignment:
    """Compare two prompts, A* (`word_length` vectors) being one ordinary word.

    source_word_length: vectors of the A* that the source may have. It is another word than the target's.

    replace: the words stand for one another in their order; where they have other numbers of tokens, attention is
    shared evenly.  refine: equal words are found (Needleman and Wunsch, 1970), the others are new.
    Raises InputError when `replace` is asked for and the numbers of words differ.
    """
    old, new = spans(backbone, source, source_word_length, "the A* before"), spans(backbone, target, word_length)
    if how == "replace" and len(old) != len(new):
        raise InputError(
            f"Replacing needs as many words in both prompts, but the source prompt has {len(old)} and the prompt "
            f"{len(new)}. Use refine, or make them equal."
        )
    replace = how == "replace" or (how == "auto" and len(old) == len(new))
    if replace:
        pairs = list(zip(range(len(old)), range(len(new)), strict=True))
    else:
        pairs = needleman_wunsch([name for name, _ in old], [name for name, _ in new])
    length = backbone.dims.max_positions
    matrix, taken = torch.zeros(length, length), torch.ones(length)
    matrix[0, 0] = 1  # the start mark
    for one, other in pairs:
        for position in new[other][1]:
            # Every position of the new word gets its share of what the whole old word got.
            matrix[list(old[one][1]), position] = 1 / len(new[other][1])
        if len(old[one][1]) == len(new[other][1]):
            for before, after in zip(old[one][1], new[other][1], strict=True):
                matrix[:, after] = 0
                matrix[before, after] = 1
    matched = {other for _, other in pairs}
    for number, (_, positions) in enumerate(new):
        if number not in matched:
            taken[list(positions)] = 0
    old_end, new_end = 1 + sum(len(one) for _, one in old), 1 + sum(len(one) for _, one in new)
    for position in range(new_end, length):  # the end mark to the end mark, the padding behind it in its order
        matrix[min(old_end + position - new_end, length - 1), position] = 1
    same = {(one, other) for one, other in pairs if old[one][0] == new[other][0]}
    kept_old, kept_new = {one for one, _ in same}, {other for _, other in same}
    return Alignment(
        matrix,
        taken,
        tuple(place for number, (_, one) in enumerate(old) if number not in kept_old for place in one),
        tuple(place for number, (_, one) in enumerate(new) if number not in kept_new for place in one),
        tokenise(target, backbone, word_length).word_positions,
    )


def spans(backbone: Backbone, prompt: str, word_length: int, called: str = "A*") -> list[tuple[str, Span]]:
    """Words of a prompt with their positions among the model's tokens (position 0 is the start mark).

    called: the name of A*.
    """
    found: list[tuple[str, Span]] = []
    at = 1
    for piece in parse(prompt):
        words = [called] if piece.text is None else piece.text.split()
        counts = [word_length if piece.text is None else len(backbone.token_ids(word)) for word in words]
        if piece.text is not None and sum(counts) != len(whole := backbone.token_ids(piece.text)):
            # A tokenizer that joins across spaces: then its tokens are the words.
            words, counts = [str(token) for token in whole], [1] * len(whole)
        for word, count in zip(words, counts, strict=True):
            found.append((word, tuple(range(at, at + count))))
            at += count
    return found


def needleman_wunsch(one: list[str], other: list[str]) -> list[tuple[int, int]]:
    """Pairs (i, j) of equal words in the best global alignment: a match counts 1, a gap 0, nothing else is matched."""
    best = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, word in enumerate(one, start=1):
        for j, twin in enumerate(other, start=1):
            best[i][j] = max(best[i - 1][j], best[i][j - 1], best[i - 1][j - 1] + 1 if word == twin else 0)
    pairs = []
    i, j = len(one), len(other)
    while i and j:
        if one[i - 1] == other[j - 1] and best[i][j] == best[i - 1][j - 1] + 1:
            pairs.append((i - 1, j - 1))
            i, j = i - 1, j - 1
        elif best[i][j] == best[i - 1][j]:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]
