"""Trains the gated adapter in two stages, as SonicDiffusion does; ear and image model are frozen.

Stage 1, the projector alone: InfoNCE (van den Oord et al., 2018; two sounds of one class are a pair, those of other
classes are what to tell them from) and the squared distance to the text states of "a photo of a NOUN", from the noun
on. Stage 2, the gated layers, and the projector at a tenth of their rate: the U-Net must denoise the paired photo
under a prompt that does not name the thing.

Four things differ from the publication, because a small model is trained in minutes here. The layers begin as copies
of the text cross-attention (as IP-Adapter's do). The tokens begin between the text states of the nouns that the ear
may have heard, as A* does. Beside the photo there is a second target, what the frozen U-Net itself predicts when the
same prompt names the noun: it carries no noise, so a hundred steps say what thousands of photos would, and it is the
only one under prompts that do not ask for a photo. And in some rows the sound is the null sound under a prompt that
names the noun, so that words keep their say.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.adapters.gated import GatedAdapter, GatedConfig, no_sound
from studio.adapters.gated_layers import gated_places
from studio.adapters.projectors import TokenProjector
from studio.backbones.stable_diffusion import StableDiffusion
from studio.data.photos import Photos
from studio.data.shards import Vocabulary
from studio.diffusion.prompt import embed
from studio.encoders.base import SoundEmbedding
from studio.encoders.pocket import PocketEar
from studio.training.adapter import PROMPTS, AdapterTask
from studio.training.ear import EarTask
from studio.training.image import SNR_GAMMA
from studio.training.latents import Latents

TEMPERATURE = 0.1
WITHOUT_SOUND = 0.15  # of the rows of stage 2


class Some(nn.Module):
    """Some parameters of a network as a module of their own, for a learning rate of their own."""

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        super().__init__()
        for name, parameter in parameters.items():
            self.register_parameter(name.replace(".", "-"), parameter)


class GatedTask(AdapterTask):
    """Only the projector, the gated layers and their gates are trained.

    first : share of the budget that stage 1 takes
    follow : weight of the frozen U-Net's own prediction as a target, beside the photo's 1. The U-Net's answers to
        different nouns lie hundreds of times nearer to each other (2e-4, weighted) than to a photo's noise (6e-2).
    """

    name = "adapter-gated"

    def __init__(
        self,
        ear_task: EarTask,
        photos: Photos,
        latents: Latents,
        vocabulary: Vocabulary,
        backbone: StableDiffusion,
        adapter: GatedAdapter,
        device: str = "cpu",
        *,
        copies: int = 4,
        first: float = 0.15,
        follow: float = 50.0,
    ) -> None:
        super().__init__(ear_task, photos, latents, vocabulary, backbone, adapter, device, copies=copies)
        self.gated, self.first, self.follow = adapter.to(device).requires_grad_(True), first, follow
        layers = dict(adapter.network.layers.named_parameters())
        gates = {name: value for name, value in layers.items() if name.endswith("gate_adapter")}
        self.modules = {
            "projector": adapter.network.projector,
            "layers": Some({name: value for name, value in layers.items() if name not in gates}),
            "gates": Some(gates),
        }
        nouns = [vocabulary.nouns[name][0] for name in vocabulary.pictures]
        with torch.no_grad():
            self.nouns = noun_states(backbone, nouns, adapter.config.count).to(device)  # [classes, M, E]
            nothing = torch.zeros(1, 0, backbone.dims.text_width, device=self.device)
            # [prompts, classes, L, E] and [prompts, L, E]: each prompt with the noun, and with A* left out.
            self.named = torch.stack([self.states(prompt, nouns, None)[0].float() for prompt in PROMPTS])
            self.unnamed = torch.cat([self.states(prompt, [""], nothing)[0].float() for prompt in PROMPTS])
        self.photographic = torch.tensor(["photo" in prompt or prompt == "{}" for prompt in PROMPTS])
        self.rows_by_label = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]

    @property
    def rates(self) -> dict[str, float]:  # type: ignore[override]  # it changes between the stages
        """Gates move twenty times as fast: one number each, and from nearly closed. The projector as published."""
        return {"projector": 1.0 if self.progress < self.first else 0.05, "layers": 0.5, "gates": 20.0}

    def tokens(self, heard: SoundEmbedding, rows: Tensor) -> Tensor:
        """The projector's tokens [B, M, E] of some of the sounds."""
        logits = None if heard.logits is None else heard.logits[rows]
        tokens: Tensor = self.gated.network.projector(heard.tokens[rows], heard.mask[rows], heard.pooled[rows], logits)
        return tokens.float()

    def distances(self, tokens: Tensor) -> Tensor:
        """[B, classes] mean squared differences to the nouns' states, in units of their variance."""
        return torch.stack([(tokens - noun).square().mean((1, 2)) for noun in self.nouns], 1) / self.nouns.var()

    def nearest(self, distances: Tensor, labels: np.ndarray) -> Tensor:
        """int64 [B]: of the classes that may stand for each sound the nearest; the mean of three is none of them."""
        allowed = torch.full_like(distances, float("inf"))
        for row, label in enumerate(labels):
            allowed[row, self.targets[int(label)]] = 0.0
        return (distances.detach() + allowed).argmin(1)

    def loss(self, step: int, generator: torch.Generator, batch_size: int) -> dict[str, Tensor]:
        draw = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        return self._align(draw, 2 * batch_size) if self.progress < self.first else self._denoise(draw, batch_size)

    def _align(self, draw: np.random.Generator, most: int) -> dict[str, Tensor]:
        """Stage 1: two sounds of each of at most `most` classes."""
        chosen = draw.permutation(len(self.rows_by_label))[:most]
        pairs = np.array([draw.choice(self.rows_by_label[label], 2) for label in chosen])  # [K, 2]
        rows = pairs.T.reshape(-1)
        tokens = self.tokens(self.heard, torch.from_numpy(rows).to(self.device))
        distances = self.distances(tokens)
        aligned = distances.gather(1, self.nearest(distances, self.labels[rows])[:, None]).mean()
        # Text states have most in common, whatever they say; what differs is what is to be told apart.
        features = F.normalize((tokens - self.nouns.mean(0)).flatten(1), dim=-1)
        one, other = features.chunk(2)
        logits, same = one @ other.T / TEMPERATURE, torch.arange(len(one), device=one.device)
        told_apart = (F.cross_entropy(logits, same) + F.cross_entropy(logits.T, same)) / 2
        return {"loss": aligned + 0.1 * told_apart, "alignment": aligned.detach(), "infonce": told_apart.detach()}

    def _denoise(self, draw: np.random.Generator, batch_size: int) -> dict[str, Tensor]:
        """Stage 2."""
        picks = draw.choice(len(self.labels), batch_size, p=(self.weights / self.weights.sum()).numpy())
        tokens = self.tokens(self.heard, torch.from_numpy(picks).to(self.device))
        classes = self.nearest(self.distances(tokens), self.labels[picks]).tolist()
        photos = np.array([int(draw.choice(self.rows_of[name])) for name in classes])
        latents = torch.from_numpy(self.latents.values[photos].astype(np.float32)).to(self.device)
        prompts = torch.from_numpy(draw.integers(len(PROMPTS), size=batch_size))
        named, hidden = self.named[prompts, torch.tensor(classes)], self.unnamed[prompts]
        silent = torch.from_numpy(draw.random(batch_size) < WITHOUT_SOUND).to(self.device)[:, None, None]
        null = no_sound(self.gated.network.projector, self.gated.config)
        tokens, hidden = torch.where(silent, null, tokens), torch.where(silent, named, hidden)
        photo, model = self._errors(draw, latents, hidden, named, tokens)
        shown = self.photographic[prompts].to(photo)
        denoised, followed = (photo * shown).sum() / shown.sum().clamp_min(1), model.mean()
        return {
            "loss": denoised + self.follow * followed,
            "denoising": denoised.detach(),
            "following": followed.detach(),
        }

    def _errors(
        self, draw: np.random.Generator, latents: Tensor, hidden: Tensor, named: Tensor, tokens: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Min-SNR weighted squared errors [B] of the U-Net with the layers in place: to the photos' velocity, and to
        what it predicts without them when the prompt names the noun. hidden, named: text states [B, L, E].
        """
        unet: Any = self.backbone.unet
        count, steps = len(latents), len(self.alphas)
        noise = torch.from_numpy(draw.standard_normal(latents.shape, np.float32)).to(latents)
        places = (torch.arange(count) + torch.from_numpy(draw.random(count))) / count  # stratified
        timesteps = (places * steps).long().clamp(max=steps - 1).to(latents.device)
        alpha = self.alphas.to(latents)[timesteps].view(-1, 1, 1, 1)
        noisy = (alpha.sqrt() * latents + (1 - alpha).sqrt() * noise).to(unet.dtype)
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
        with torch.no_grad():
            said = unet(noisy, timesteps, encoder_hidden_states=named.to(unet.dtype)).sample.float()
        with self.gated.network.layers.attached(unet, tokens):
            predicted = unet(noisy, timesteps, encoder_hidden_states=hidden.to(unet.dtype)).sample.float()
        snr = alpha / (1 - alpha).clamp_min(1e-8)
        weight = snr.clamp(max=SNR_GAMMA) / (snr + 1)
        photo, model = ((weight * (predicted - target).square()).mean((1, 2, 3)) for target in (velocity, said))
        return photo, model

    def scores(self) -> dict[str, float]:
        """On unheard recordings how often the tokens are nearest to a noun of the pair; and how far gates are open."""
        nearest = self.distances(self.tokens(self.heard_test, torch.arange(len(self.test_labels)))).argmin(1).tolist()
        hits = [guess in self.targets[int(label)] for guess, label in zip(nearest, self.test_labels, strict=True)]
        gates = torch.cat([gate.detach().tanh().abs() for gate in self.modules["gates"].parameters()])
        return {"nearest_noun": float(np.mean(hits)), "gates": float(gates.mean())}

    def export(self, folder: Path) -> None:
        self.gated.save(folder)


def noun_states(backbone: StableDiffusion, nouns: list[str], count: int) -> Tensor:
    """float32 [nouns, M, E]: the text states of "a photo of a NOUN" from the noun's end on, where they tell nouns
    apart.
    """
    no_word = torch.zeros(0, backbone.dims.text_width)
    states = []
    for noun in nouns:
        said = embed(backbone, [f"a photo of a {noun}"], no_word).tokens[0]
        end = len(backbone.token_ids(f"a photo of a {noun}"))  # the start mark is before them
        states.append(said[end : end + count])
    return torch.stack(states).float()


def new_gated_adapter(backbone: StableDiffusion, ear: PocketEar, vocabulary: Vocabulary) -> GatedAdapter:
    """An untrained gated adapter that fits an ear and an image model: its layers begin as the text's attention, the
    things' tokens as the states of their nouns.
    """
    things = [(label, picture) for label, name in enumerate(ear.labels) for picture in vocabulary.pairs.get(name, ())]
    config = GatedConfig(
        places=gated_places(backbone.unet),
        encoder=ear.name,
        sound_dim=ear.dim,
        width=backbone.dims.context_width,
        text_width=backbone.dims.text_width,
        concepts=tuple(label for label, _ in things),
        labels=len(ear.labels),
    )
    adapter = GatedAdapter(config)
    adapter.network.layers.copy_text_attention(backbone.unet)
    if things and isinstance(adapter.network.projector, TokenProjector):
        nouns = [vocabulary.nouns[picture][0] for _, picture in things]
        with torch.no_grad():
            adapter.network.projector.things.copy_(noun_states(backbone, nouns, config.count))
            adapter.network.projector.norm.weight.fill_(0.1)  # the sound's own part says little at first
    return adapter
