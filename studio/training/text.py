"""The pocket model's tokenizer and text encoder, in the formats of CLIP."""

from __future__ import annotations

import json
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

MAX_TOKENS = 32


def new_tokenizer(words: list[str]) -> CLIPTokenizer:
    """A CLIP tokenizer in which each of `words` is one token; any other text falls back to letters."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=50_000,  # no bound: merging stops when every word is whole
        min_frequency=2,
        end_of_word_suffix="</w>",
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([word for word in words for _ in range(2)], trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    vocab: dict[str, int] = {}
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    for token in [*letters, *(letter + "</w>" for letter in letters), *trained["vocab"]]:
        vocab.setdefault(token, len(vocab))
    for token in ("<|startoftext|>", "<|endoftext|>"):
        vocab[token] = len(vocab)
    merges: Any = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in trained["merges"]]
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=MAX_TOKENS)


def new_text_encoder(tokenizer: CLIPTokenizer, width: int = 256, layers: int = 3) -> CLIPTextModel:
    """An untrained CLIP text model of the given width; about 3 M parameters."""
    model = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=3 * width,
            num_hidden_layers=layers,
            num_attention_heads=width // 64,
            max_position_embeddings=MAX_TOKENS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            projection_dim=width,
        )
    )
    # Transformers starts embeddings at 0.02: beside what the layers add, all words then look alike, and a U-Net that
    # learns at the same time ignores the text for thousands of steps. As unit codes the words differ from the start.
    with torch.no_grad():
        embeddings = model.embeddings
        embeddings.token_embedding.weight.normal_(0, 1)
        embeddings.position_embedding.weight.normal_(0, 0.2)
    return model
