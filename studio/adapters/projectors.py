"""Projectors: what an ear heard -> the tokens that gated cross-attention reads.

Letters: B sounds, T tokens of the ear of width D, M tokens of width E.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TokenProjector(nn.Module):
    """A few tokens from the ear's tokens in time and its pooled vector, for small models.

    Each token looks at its own stretches of time (attentive pooling, one weighting a token), and all see the pooled
    vector. For an ear that names what it hears the tokens lie between learned tokens of the things it may have heard,
    as the word adapter's A* does, with a bounded part of the sound's own; for an ear without names they are that part
    alone, through a layer norm that puts them where text states are.

    concepts: for each thing with tokens of its own, which of the ear's labels it can be heard in; empty = names are
        not used.  sharpness: exponent of the ear's probabilities.  own: size of the sound's own part.
    """

    label_of: Tensor

    def __init__(
        self,
        sound_dim: int,
        count: int,
        width: int,
        hidden: int,
        concepts: tuple[int, ...] = (),
        sharpness: float = 4.0,
        own: float = 0.3,
    ) -> None:
        super().__init__()
        self.count, self.sharpness, self.own = count, sharpness, own
        self.norm_tokens, self.norm_pooled = nn.LayerNorm(sound_dim), nn.LayerNorm(sound_dim)
        self.attend = nn.Sequential(nn.Linear(sound_dim, 64), nn.Tanh(), nn.Linear(64, count))
        self.join = nn.Sequential(
            nn.Linear(sound_dim * 2, hidden), nn.GELU(), nn.Dropout(0.2), nn.Linear(hidden, hidden), nn.GELU()
        )
        self.out = nn.Parameter(torch.randn(count, hidden, width) * hidden**-0.5)  # each token has its own
        self.norm = nn.LayerNorm([count, width])
        self.register_buffer("label_of", torch.tensor(concepts, dtype=torch.int64), persistent=False)
        if concepts:
            self.things = nn.Parameter(torch.randn(len(concepts), count, width))
            self.choose = nn.Linear(2 * sound_dim, len(concepts))

    def forward(self, tokens: Tensor, mask: Tensor, pooled: Tensor, logits: Tensor | None) -> Tensor:
        """tokens [B, T, D], mask [B, T], pooled [B, D], logits [B, L] or None -> [B, M, E]."""
        tokens, pooled = self.norm_tokens(tokens), self.norm_pooled(pooled)
        weight = self.attend(tokens).masked_fill(~mask[..., None], float("-inf")).softmax(1)  # [B, T, M]
        attended = weight.transpose(1, 2).to(tokens.dtype) @ tokens  # [B, M, D]
        heard = torch.cat([attended, pooled[:, None].expand(-1, self.count, -1).to(attended.dtype)], -1)
        joined = self.join(heard)
        own: Tensor = self.norm(torch.einsum("bmh,mhe->bme", joined, self.out.to(joined.dtype)))
        if not len(self.label_of):
            return own
        if logits is None:
            raise ValueError("this projector needs what the ear names")
        names = logits.float().log_softmax(-1)[:, self.label_of]  # [B, concepts]
        share = (self.sharpness * (names + self.choose(heard.mean(1)).tanh())).softmax(-1)
        aligned = torch.einsum("bc,cme->bme", share, self.things.to(share.dtype))
        # Bounded by the norm: what is particular about a sound must not say that it is another thing.
        return aligned + self.own * own.to(aligned.dtype)


class SonicProjector(nn.Module):
    """SonicDiffusion's projector, weight for weight: one vector of width 1024 -> 77 tokens of width 768.

    6,130,050 parameters, named as in the published audio_projector_*.pth. In the released code each of the four
    attention blocks reads the convolutions' output and overwrites what the one before it gave, so the first three say
    nothing; the published weights were trained so, and chaining the blocks would break them.
    """

    COUNT, WIDTH, INNER, HEADS, SOUND = 77, 768, 320, 8, 1024

    def __init__(self) -> None:
        super().__init__()
        count, width, inner = self.COUNT, self.WIDTH, self.INNER
        self.audio_emb_projection = nn.Sequential(
            nn.Conv1d(1, count, 17, padding=8),
            nn.GELU(),
            nn.Conv1d(count, count, 17, padding=8),
            nn.GELU(),
            nn.LayerNorm([count, self.SOUND]),
            nn.Conv1d(count, count, 17, padding=8),
            nn.GELU(),
            nn.LayerNorm([count, self.SOUND]),
            nn.ConvTranspose1d(count, count, 17, stride=3, padding=7),  # 1024 -> 3072
            nn.GELU(),
            nn.LayerNorm([count, 3 * self.SOUND]),
            nn.GELU(),
            nn.Conv1d(count, count, 17, stride=4, padding=7),  # 3072 -> 768
            nn.Dropout(0.0),
        )
        self.cross_attention = nn.ModuleList(
            nn.ModuleDict({f"to_{part}_adapter": nn.Linear(width, inner, bias=False) for part in "qkv"})
            for _ in range(4)
        )
        self.between_attention = nn.ModuleList(
            nn.Sequential(nn.Linear(inner, inner), nn.GELU(), nn.Linear(inner, width)) for _ in range(4)
        )
        self.to_out_adapter = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, tokens: Tensor, mask: Tensor, pooled: Tensor, logits: Tensor | None) -> Tensor:
        """pooled [B, 1024] -> [B, 77, 768]; the ear's tokens and names are not read."""
        convolved = self.audio_emb_projection(pooled[:, None])
        queries, keys, values = (
            self.cross_attention[-1][f"to_{part}_adapter"](convolved)  # type: ignore[index]
            .unflatten(-1, (self.HEADS, -1))
            .transpose(1, 2)
            for part in "qkv"
        )
        attended = F.scaled_dot_product_attention(queries, keys, values).transpose(1, 2).flatten(2)
        out: Tensor = self.to_out_adapter[0](self.between_attention[-1](attended) + convolved)
        return out
