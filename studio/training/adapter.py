"""Trains the word adapter: sounds and photos in pairs, ear and image model frozen.

Two losses. Alignment (AAI's first stage, on our text encoder): a prompt with A* must leave the text encoder as the
same prompt with the pair's noun does. Denoising (AudioToken, AAI's second stage): the frozen U-Net must denoise the
paired photo under "a photo of A*". The ear hears every sound with other gains, parts and company, so that the word is
robust.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from studio.adapters.gated import GatedAdapter
from studio.adapters.word import WordAdapter, WordConfig
from studio.backbones.stable_diffusion import StableDiffusion
from studio.data.attributes import measure
from studio.data.photos import Photos
from studio.data.shards import Vocabulary
from studio.diffusion.prompt import word_in_place
from studio.encoders.base import SoundEmbedding
from studio.encoders.pocket import PocketEar
from studio.training.ear import EarTask
from studio.training.image import diffusion_loss
from studio.training.latents import Latents
from studio.training.loop import Task

PROMPTS = (
    "a photo of {}",
    "a photo of a {}",
    "a sharp photo of {}",
    "{}",
    "a picture in the style of {}",
    "a painting of {}",
)
# What a sound's pictures look like beside what they show: most of the skies that stand for a thunderstorm are fair.
# Each of these words with its length beside the noun.
MOODS = {"thunderstorm": {"dark": 0.4, "grey": 0.8}}


class AdapterTask(Task):
    """Only the adapter's weights are trained."""

    name = "adapter"

    def __init__(
        self,
        ear_task: EarTask,
        photos: Photos,
        latents: Latents,
        vocabulary: Vocabulary,
        backbone: StableDiffusion,
        adapter: WordAdapter | GatedAdapter,
        device: str = "cpu",
        denoising: float = 0.3,
        copies: int = 8,
    ) -> None:
        """denoising: share of the steps that also compute the denoising loss, which costs far more than alignment.

        copies: how often each sound is heard, each time differently, before training starts.
        """
        self.photos, self.latents, self.vocabulary, self.backbone = photos, latents, vocabulary, backbone
        self.adapter, self.device, self.denoising = adapter, device, denoising
        self.modules = {"network": adapter.network}
        self.classes = ear_task.sounds.classes
        names = vocabulary.pictures
        self.targets = {
            label: [names.index(picture) for picture in vocabulary.pairs[name]]
            for label, name in enumerate(self.classes)
            if name in vocabulary.pairs
        }
        labels = ear_task.sounds.labels
        rows = np.array([row for row in ear_task.train_rows if int(labels[row]) in self.targets])
        test = np.array([row for row in ear_task.test if int(labels[row]) in self.targets])
        self.heard = self.listen(ear_task, rows, copies)
        self.heard_test = self.listen(ear_task, test, 1)
        self.labels, self.test_labels = np.tile(labels[rows], copies), labels[test]
        self.weights = torch.from_numpy(np.bincount(self.labels)[self.labels] ** -0.8)
        plain = np.array([style == "photo" for style in latents.styles])
        by_photo = photos.labels[latents.photos]
        self.rows_of = {picture: np.flatnonzero(plain & (by_photo == picture)) for picture in range(len(names))}
        self.moody = {self.classes.index(name): mood for name, mood in MOODS.items() if name in self.classes}
        self.moody_rows = {
            (label, picture): self._in_mood(self.rows_of[picture], mood)
            for label, mood in self.moody.items()
            for picture in self.targets.get(label, ())
        }
        self.alphas = backbone.scheduler().alphas_cumprod

    def _in_mood(self, rows: np.ndarray, mood: Iterable[str]) -> np.ndarray:
        """Those of the rows whose photo has one of these attributes; all where none has."""
        fit = [
            row for row in rows if any(word in measure(self.photos[int(self.latents.photos[row])]) for word in mood)
        ]
        return np.array(fit) if fit else rows

    @torch.no_grad()
    def listen(self, ear_task: EarTask, rows: np.ndarray, copies: int) -> SoundEmbedding:
        """Embeddings of `rows`, `copies` times over; with copies = 1 whole and as they are, else in changed parts."""
        ear, draw = ear_task.ear.eval(), np.random.default_rng(7)
        tokens, pooled, logits = [], [], []
        length = 4 * ear.sample_rate
        for _copy in range(copies):
            for row in rows:
                wave = ear_task.waves[row] if copies == 1 else ear_task.piece(int(row), length, draw)
                if copies > 1:
                    level = wave.square().mean().sqrt().clamp_min(1e-4)
                    wave = wave / level * 10 ** (draw.uniform(-45, -10) / 20)
                mel = ear.mel(wave[None])
                if copies > 1:
                    mel = ear_task.mask(mel, draw)
                t, p, named = ear.listen(mel)
                tokens.append(t[0])
                pooled.append(p[0])
                logits.append(named[0])
        longest = max(len(t) for t in tokens)
        mask = torch.tensor([[i < len(t) for i in range(longest)] for t in tokens])
        padded = torch.stack([F.pad(t, (0, 0, 0, longest - len(t))) for t in tokens])
        parts = (padded, mask, torch.stack(pooled), torch.stack(logits))
        return SoundEmbedding(*(part.to(self.device) for part in parts))

    def states(self, template: str, nouns: list[str], words: Tensor | None) -> tuple[Tensor, Tensor]:
        """Text states [B, L, E] of a template with nouns, or with A* where words [B, n, D] are given.

        Also returns int64 [B]: where the filled-in word ends.
        """
        backbone = self.backbone
        before, after = template.split("{}")
        start = [backbone.marks.start, *(backbone.token_ids(before) if before.strip() else [])]
        rest = backbone.token_ids(after) if after.strip() else []
        ids, ends = [], []
        for noun in nouns:
            inside = [backbone.marks.filler] * words.shape[1] if words is not None else backbone.token_ids(noun)
            line = [*start, *inside, *rest, backbone.marks.end]
            ends.append(len(start) + len(inside) - 1)
            ids.append(line + [backbone.marks.pad] * (backbone.dims.max_positions - len(line)))
        grid = torch.tensor(ids, device=self.device)
        if words is None:
            return backbone.text_encoder(grid).last_hidden_state, torch.tensor(ends, device=self.device)
        count = words.shape[1]
        rows = torch.arange(len(nouns), device=self.device).repeat_interleave(count)
        positions = torch.arange(len(start), len(start) + count, device=self.device).repeat(len(nouns))
        with word_in_place(backbone.token_embedding, rows, positions, words.flatten(0, 1)):
            return backbone.text_encoder(grid).last_hidden_state, torch.tensor(ends, device=self.device)

    def words(self, heard: SoundEmbedding, rows: Tensor) -> Tensor:
        assert heard.logits is not None
        return self.adapter.network(heard.tokens[rows], heard.mask[rows], heard.pooled[rows], heard.logits[rows])

    def alignment(self, words: Tensor, labels: list[int], candidates: list[list[int]], template: str) -> Tensor:
        """[K, B] squared difference of the text states from the word's end on, in units of their variance.

        words [B, n, D], labels [B], candidates [K][B]: the classes whose nouns each word may stand for.
        """
        span = 6  # the word's end and what follows; later positions are padding and much alike
        steps = torch.arange(span, device=self.device)
        batch = torch.arange(len(words), device=self.device)[:, None]
        ours, our_end = self.states(template, [""] * len(words), words)
        after = ours[batch, our_end[:, None] + steps]
        distances = []
        for pictures in candidates:
            nouns = [self.vocabulary.nouns[self.vocabulary.pictures[picture]][0] for picture in pictures]
            said, said_end = self.states(template, nouns, None)
            meant = said[batch, said_end[:, None] + steps]
            moody = [row for row, label in enumerate(labels) if label in self.moody]
            if moody:  # no noun says it: the word itself stands in the noun's place
                spoken = [word_of(self.backbone, nouns[row], self.moody[labels[row]]) for row in moody]
                states, end = self.states(template, [""] * len(moody), torch.stack(spoken)[:, None].to(words))
                meant = meant.clone()
                meant[moody] = states[batch[: len(moody)], end[:, None] + steps]
            difference = after - meant
            distances.append(difference.float().square().mean((1, 2)) / said.float().var())
        return torch.stack(distances)

    def loss(self, step: int, generator: torch.Generator, batch_size: int) -> dict[str, Tensor]:
        draw = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        rows = torch.multinomial(self.weights, batch_size, replacement=True, generator=generator)
        words = self.words(self.heard, rows)
        template = PROMPTS[int(draw.integers(len(PROMPTS)))]
        # A sound that may be several things goes to the nearest: the mean of three nouns is none of them.
        labels = self.labels[rows.numpy()].tolist()
        choices = [self.targets[label] for label in labels]
        most = max(map(len, choices))
        candidates = [[each[rank % len(each)] for each in choices] for rank in range(most)]
        distances = self.alignment(words, labels, candidates, template)
        nearest = distances.argmin(0).tolist()
        aligned = distances.amin(0).mean()
        losses = {"loss": aligned, "alignment": aligned.detach()}
        if draw.random() < self.denoising:
            few = min(batch_size, 16)
            things = [(labels[row], candidates[nearest[row]][row]) for row in range(few)]
            photos = [int(draw.choice(self.moody_rows.get(thing, self.rows_of[thing[1]]))) for thing in things]
            latents = torch.from_numpy(self.latents.values[np.array(photos)].astype(np.float32)).to(self.device)
            hidden, _ = self.states("a photo of {}", [""] * few, words[:few])
            denoised = diffusion_loss(self.backbone.unet, latents, hidden, self.alphas, generator)
            losses["loss"] = aligned + denoised
            losses["denoising"] = denoised.detach()
        return losses

    def scores(self) -> dict[str, float]:
        """Alignment on unheard recordings, and how often the nearest noun (in the text states) is one of the
        pair's.
        """
        rows = torch.arange(len(self.test_labels))
        words = self.words(self.heard_test, rows)
        names = self.vocabulary.pictures
        said, ends = self.states("a photo of {}", [self.vocabulary.nouns[name][0] for name in names], None)
        nouns = torch.stack([said[i, ends[i] + 1] for i in range(len(names))]).float()
        hits = []
        for start in range(0, len(words), 64):
            part = words[start : start + 64]
            ours, our_ends = self.states("a photo of {}", [""] * len(part), part)
            at = torch.stack([ours[i, our_ends[i] + 1] for i in range(len(part))]).float()
            nearest = torch.cdist(at, nouns).argmin(-1).tolist()
            labels = self.test_labels[start : start + 64]
            hits += [guess in self.targets[int(label)] for guess, label in zip(nearest, labels, strict=True)]
        return {"nearest_noun": float(np.mean(hits))}

    def export(self, folder: Path) -> None:
        self.adapter.save(folder)


def things_of(ear: PocketEar, vocabulary: Vocabulary) -> list[tuple[int, str]]:
    """What the words of A* stand for: (the ear's label, a picture class of its pair)."""
    return [(label, picture) for label, name in enumerate(ear.labels) for picture in vocabulary.pairs.get(name, ())]


def _beside_the_best(things: list[tuple[int, str]], favour: dict[str, float]) -> tuple[float, ...]:
    """How much worse each thing is drawn than the best drawn one of its label: at most 0."""
    best: dict[int, float] = {}
    for label, picture in things:
        best[label] = max(best.get(label, favour[picture]), favour[picture])
    return tuple(round(favour[picture] - best[label], 3) for label, picture in things)


def word_of(backbone: StableDiffusion, noun: str, mood: Mapping[str, float] | None = None) -> Tensor:
    """A noun's own embedding, float32 [D], leaning towards the words of a mood and as long as before.

    mood: how much of each word's direction is added to the noun's.
    """
    embedding = cast(Tensor, backbone.token_embedding.weight).detach().float()

    def of(text: str) -> Tensor:
        return embedding[backbone.token_ids(text)].mean(0)

    plain = of(noun)
    if not mood:
        return plain
    lean = F.normalize(plain, dim=0) + sum(much * F.normalize(of(word), dim=0) for word, much in mood.items())
    return F.normalize(lean, dim=0) * plain.norm()


def new_adapter(
    backbone: StableDiffusion, ear: PocketEar, vocabulary: Vocabulary, favour: dict[str, float] | None = None
) -> WordAdapter:
    """An untrained word adapter that fits an ear and an image model; it starts from the nouns' own embeddings.

    favour: what `favour_of` says of the picture classes; None = all alike.
    """
    embedding = cast(Tensor, backbone.token_embedding.weight).detach().float()
    things = things_of(ear, vocabulary)
    config = WordConfig(
        encoder=ear.name,
        sound_dim=ear.dim,
        text_width=backbone.dims.text_width,
        scale=float(embedding.std()),
        concepts=tuple(label for label, _ in things),
        labels=len(ear.labels),
        favour=_beside_the_best(things, favour) if favour else (),
    )
    adapter = WordAdapter(config)
    with torch.no_grad():
        words = [
            word_of(backbone, vocabulary.nouns[picture][0], MOODS.get(ear.labels[label])) for label, picture in things
        ]
        adapter.network.words.copy_(torch.stack(words).to(adapter.network.words))
    return adapter
