"""AST, the Audio Spectrogram Transformer (Gong, Chung, Glass 2021), through transformers: names 527 AudioSet classes.

Mono at 16 kHz, Kaldi fbank of 128 mel bands (25 ms Hann window every 10 ms), filled up with zeros or cut to 1024
frames and normalised to (x - mean) / (2 std) by the folder's own preprocessor_config.json; patches of 16x16 every 10
frames and 10 bands. Seeing Sound (2025) reads its sequence of patches.

Tested with random weights in the published format, old and new names of the weights, against the library. Nobody has
run MIT/ast-finetuned-audioset-10-10-0.4593 itself in Hearsight yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from studio.encoders import ENCODERS
from studio.encoders._library import load_pretrained
from studio.encoders._listening import Part, embed_each, frames_of, in_parts, samples_of
from studio.encoders._weights import Published, weights_folder
from studio.encoders.base import Encoder, SoundEmbedding
from studio.sound.clip import Clip


@ENCODERS.register("ast")
class AstEar(nn.Module, Encoder):
    """Names AudioSet classes; several may be true of one sound, so each has its own probability.

    tokens: [B, T, 768], the class and distillation tokens and then the patches, band by band from low to high and in
    time within a band: 2 + 12 * 101 = 1214 for the published sizes, which is what Seeing Sound reads. The mask is
    False where a patch lies behind the end of the sound, though the transformer sees those patches too, as in
    training.
    pooled: the mean of the class and distillation tokens, as the classifier reads it.
    A sound longer than 10.24 s is heard in equal parts: their tokens follow one another, `pooled` is their mean, and a
    class is as likely as in the part where it is likeliest, because AudioSet's labels say "somewhere in the clip".
    """

    published: ClassVar[Published] = Published(
        title="AST (MIT/ast-finetuned-audioset-10-10-0.4593)",
        files=("model.safetensors", "config.json", "preprocessor_config.json"),
        source="huggingface.co/MIT/ast-finetuned-audioset-10-10-0.4593",
        repository="MIT/ast-finetuned-audioset-10-10-0.4593",
        size=346_000_000,
    )

    def __init__(self, model: Any, features: Any) -> None:
        super().__init__()
        self.model, self.features = model, features
        config = model.config
        self.sample_rate, self.dim = int(features.sampling_rate), int(config.hidden_size)
        self.labels = tuple(str(config.id2label[index]) for index in range(config.num_labels))

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        from transformers import ASTFeatureExtractor, ASTForAudioClassification

        folder = folder if folder is not None else weights_folder("ast", cls.published)
        model, features = load_pretrained(folder, cls.published, ASTForAudioClassification, ASTFeatureExtractor)
        return cls(model, features).eval()

    @torch.no_grad()
    def encode(self, clips: Sequence[Clip]) -> SoundEmbedding:
        return embed_each(clips, self._listen)

    def probabilities(self, embedding: SoundEmbedding) -> Tensor:
        if embedding.logits is None:
            return embedding.pooled.new_zeros(len(embedding.pooled), 0)
        return torch.sigmoid(embedding.logits.float())  # AudioSet: several labels may be true at once

    def _listen(self, clip: Clip) -> Part:
        window = samples_of(self.model.config.max_length)
        parts = [self._part(samples) for samples in in_parts(self.waveform(clip), window)]
        return Part(
            torch.cat([part.tokens for part in parts]),
            torch.cat([part.mask for part in parts]),
            torch.stack([part.pooled for part in parts]).mean(0),
            torch.stack([part.logits for part in parts if part.logits is not None]).amax(0),
        )

    def _part(self, samples: Tensor) -> Part:
        config, device = self.model.config, next(self.model.parameters()).device
        mel = self.features(samples.numpy(), sampling_rate=self.sample_rate, return_tensors="pt")
        heard = self.model.audio_spectrogram_transformer(mel["input_values"].to(device))
        bands = (config.num_mel_bins - config.patch_size) // config.frequency_stride + 1
        times = (config.max_length - config.patch_size) // config.time_stride + 1
        begins = config.time_stride * torch.arange(times, device=device)
        sounding = (begins < frames_of(len(samples))).repeat(bands)
        return Part(
            heard.last_hidden_state[0],
            torch.cat([sounding.new_ones(2), sounding]),
            heard.pooler_output[0],
            self.model.classifier(heard.pooler_output)[0],
        )
