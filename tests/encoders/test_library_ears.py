"""AST and LAION CLAP: what the library itself says of the same samples."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    ASTFeatureExtractor,
    ASTForAudioClassification,
    AutoTokenizer,
    ClapFeatureExtractor,
    ClapModel,
)

from studio.encoders.ast import AstEar
from studio.encoders.clap import ClapEar
from studio.errors import InputError
from studio.sound.clip import Clip
from tests.ears import AST_LABELS
from tests.models import noise, tone


def test_ast_is_the_library(ear_folder: Callable[[str], Path]) -> None:
    folder = ear_folder("ast")
    clip = noise(2.0)
    mel = ASTFeatureExtractor.from_pretrained(folder)(
        clip.samples[0].copy(), sampling_rate=16_000, return_tensors="pt"
    )
    model = ASTForAudioClassification.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        wanted = model(**mel, output_hidden_states=True)
    ear = AstEar.load(folder)
    heard = ear.encode([clip])
    assert ear.labels == AST_LABELS
    assert heard.logits is not None
    assert torch.allclose(heard.logits, wanted.logits, atol=1e-4)
    assert torch.allclose(ear.probabilities(heard), torch.sigmoid(wanted.logits), atol=1e-5)
    assert heard.tokens.shape == (1, 2 + 8 * 64, 32)
    assert heard.mask[0, 2:].reshape(8, 64).sum(1).tolist() == [13] * 8  # 198 frames, a patch every 16


def test_ast_hears_stereo_at_another_rate_as_its_mean(ear_folder: Callable[[str], Path]) -> None:
    ear = AstEar.load(ear_folder("ast"))
    mono = tone(1.0, 44_100)
    stereo = Clip(np.concatenate([1.5 * mono.samples, 0.5 * mono.samples]), 44_100)
    assert torch.allclose(ear.encode([stereo]).pooled, ear.encode([mono]).pooled, atol=1e-4)


def test_ast_takes_the_likeliest_part_of_a_long_sound(ear_folder: Callable[[str], Path]) -> None:
    ear = AstEar.load(ear_folder("ast"))
    samples = np.concatenate([noise(8.0).samples, tone(8.0).samples], axis=1)
    parts = [ear.encode([Clip(half, 16_000)]).logits for half in np.split(samples, 2, axis=1)]
    whole = ear.encode([Clip(samples, 16_000)])
    assert parts[0] is not None and parts[1] is not None and whole.logits is not None
    assert torch.allclose(whole.logits, torch.maximum(parts[0], parts[1]), atol=1e-5)
    assert whole.tokens.shape[1] == 2 * (2 + 8 * 64)


def test_clap_is_the_library(ear_folder: Callable[[str], Path]) -> None:
    folder = ear_folder("clap")
    clip = noise(3.0, rate=48_000)
    phrases = ["the sound of a dog", "rain"]
    model = ClapModel.from_pretrained(folder).eval()
    mel = ClapFeatureExtractor.from_pretrained(folder)(clip.samples[0], sampling_rate=48_000, return_tensors="pt")
    text = AutoTokenizer.from_pretrained(folder)(phrases, return_tensors="pt", padding=True)
    with torch.no_grad():
        wanted = model(
            input_features=mel["input_features"].float(),
            is_longer=mel["is_longer"],
            input_ids=text["input_ids"],
            attention_mask=text["attention_mask"],
        )
    ear = ClapEar.load(folder)
    heard = ear.encode([clip])
    assert torch.allclose(heard.pooled, wanted.audio_embeds, atol=1e-5)
    assert torch.allclose(ear.embed_text(phrases), wanted.text_embeds, atol=1e-5)
    assert torch.allclose(ear.logit_scale * ear.similarity(heard, phrases), wanted.logits_per_audio, atol=1e-5)
    assert not torch.allclose(wanted.text_embeds[0], wanted.text_embeds[1], atol=1e-3)
    assert heard.mask[0].sum() == 29  # three times 3 s of 10, in steps of 10/32 s


def test_clap_hears_a_long_sound_the_same_every_time(ear_folder: Callable[[str], Path]) -> None:
    ear = ClapEar.load(ear_folder("clap"))
    clip = noise(12.0, rate=48_000)
    first = ear.encode([clip])
    assert torch.equal(first.pooled, ear.encode([clip]).pooled)
    assert first.tokens.shape == (1, 64, 20)
    assert abs(float(first.pooled.norm()) - 1) < 1e-5


def test_clap_without_words(ear_folder: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(ear_folder("clap"), tmp_path / "clap")
    for path in folder.glob("*token*"):
        path.unlink()
    ear = ClapEar.load(folder)
    ear.encode([tone()])
    with pytest.raises(InputError, match="holds no tokenizer, so sounds cannot be compared with words"):
        ear.embed_text(["dog"])
    with pytest.raises(InputError, match="phrase to compare a sound with is empty"):
        ear.embed_text(["dog", " "])
