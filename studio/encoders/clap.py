"""LAION CLAP (Wu et al. 2023), through transformers: sounds and phrases in one space of 512 numbers.

Mono at 48 kHz, windows of 10 s (shorter sounds repeated as often as they fit, then zeros), 64 mel bands 50..14000 Hz,
FFT 1024 every 480 samples, decibels: all by the folder's own preprocessor_config.json.

Tested with random weights in the published format against the library. Nobody has run laion/clap-htsat-unfused itself
in Hearsight yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.encoders import ENCODERS
from studio.encoders._library import load_pretrained, no_progress_bar
from studio.encoders._listening import Part, embed_each, in_parts
from studio.encoders._weights import Published, weights_folder
from studio.encoders.base import Encoder, SoundEmbedding, TextAligned
from studio.errors import InputError
from studio.sound.clip import Clip


@ENCODERS.register("clap")
class ClapEar(nn.Module, Encoder, TextAligned):
    """Names nothing by itself, but compares a sound with any phrase: `similarity`.

    pooled: [B, 512], the unit vector that CLAP gives a sound; of several windows their mean, again of length one.
    tokens: [B, T, 512], the last feature map projected step by step instead of all at once, unit vectors too: 32 steps
    of 0.32 s for each window of 10 s. Steps behind the sound and its repetitions are masked.
    A sound longer than a window is heard in equal parts; the published program takes a random window.
    """

    published: ClassVar[Published] = Published(
        title="LAION CLAP (laion/clap-htsat-unfused)",
        files=("model.safetensors", "config.json", "preprocessor_config.json"),
        source="huggingface.co/laion/clap-htsat-unfused",
        repository="laion/clap-htsat-unfused",
        more=("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt"),
        size=614_000_000,
    )

    def __init__(self, model: Any, features: Any, folder: Path) -> None:
        super().__init__()
        self.model, self.features, self.folder = model, features, folder
        self.sample_rate, self.dim = int(features.sampling_rate), int(model.config.projection_dim)
        self.labels = ()
        self.logit_scale = float(model.logit_scale_a.exp())
        self._tokenizer: Any = None

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        from transformers.models.clap.feature_extraction_clap import ClapFeatureExtractor
        from transformers.models.clap.modeling_clap import ClapModel

        folder = folder if folder is not None else weights_folder("clap", cls.published)
        model, features = load_pretrained(folder, cls.published, ClapModel, ClapFeatureExtractor)
        return cls(model, features, folder).eval()

    @torch.no_grad()
    def encode(self, clips: Sequence[Clip]) -> SoundEmbedding:
        return embed_each(clips, self._listen)

    @torch.no_grad()
    def embed_text(self, phrases: Sequence[str]) -> Tensor:
        """Phrases as unit vectors [P, 512]. Raises InputError when the folder holds no tokenizer, or a phrase is
        empty.

        A phrase counts up to the length that the text encoder reads (512 tokens).
        """
        if not phrases or not all(phrase.strip() for phrase in phrases):
            raise InputError("A phrase to compare a sound with is empty: write at least one word in each.")
        device = next(self.model.parameters()).device
        longest = self.model.config.text_config.max_position_embeddings - 2  # RoBERTa counts positions from 2
        # One at a time, as sounds are: padding changes the last bits of the others.
        rows = []
        for phrase in phrases:
            read = self.tokenizer(phrase, return_tensors="pt", truncation=True, max_length=longest)
            read = {name: read[name].to(device) for name in ("input_ids", "attention_mask")}
            rows.append(self.model.get_text_features(**read).pooler_output[0])
        return F.normalize(torch.stack(rows).float(), dim=-1)

    @property
    def tokenizer(self) -> Any:
        """What cuts phrases into tokens; read on first use, because listening does not need it."""
        if self._tokenizer is None:
            from transformers.models.auto.tokenization_auto import AutoTokenizer

            try:
                # Without these files the library makes a tokenizer that knows no words, and says nothing.
                if not any((self.folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
                    raise OSError("no tokenizer.json")
                with no_progress_bar():
                    self._tokenizer = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"The folder {self.folder} holds no tokenizer, so sounds cannot be compared with words: copy "
                    f"tokenizer.json and tokenizer_config.json from {self.published.source} into it."
                ) from error
        return self._tokenizer

    def _listen(self, clip: Clip) -> Part:
        window = int(self.features.nb_max_samples)
        parts = [self._part(samples, window) for samples in in_parts(self.waveform(clip), window)]
        return Part(
            torch.cat([part.tokens for part in parts]),
            torch.cat([part.mask for part in parts]),
            F.normalize(torch.stack([part.pooled for part in parts]).mean(0), dim=-1),
        )

    def _part(self, samples: Tensor, window: int) -> Part:
        device = next(self.model.parameters()).device
        mel = self.features(samples.double().numpy(), sampling_rate=self.sample_rate, return_tensors="pt")
        heard = self.model.audio_model(
            input_features=mel["input_features"].float().to(device), is_longer=mel["is_longer"].to(device)
        )
        steps = heard.last_hidden_state.mean(2).transpose(1, 2)  # [1, D', bands, T] -> [1, T, D']
        tokens = F.normalize(self.model.audio_projection(steps)[0], dim=-1)
        pooled = F.normalize(self.model.audio_projection(heard.pooler_output)[0], dim=-1)
        repetitions = {"pad": 1, "repeatpad": window // len(samples)}
        filled = len(samples) * repetitions.get(self.features.padding, window)  # "repeat" leaves no silence
        begins = torch.arange(len(tokens), device=device) * window / len(tokens)
        return Part(tokens, begins < filled, pooled)
