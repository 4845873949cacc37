"""The tokenizer of OpenAI's CLIP (Radford et al., 2021), which Stable Diffusion 1.x, 2.x and SDXL read text with.

A model in one .safetensors file has no tokenizer with it, and all of them share these 49,408 tokens: 256 bytes, the
same at the end of a word, 48,894 merges, and two marks. The merges are OpenAI's (MIT licence), in `assets/clip`.
"""

from __future__ import annotations

import gzip

from transformers.models.clip.tokenization_clip import CLIPTokenizer

from studio.errors import HearsightError
from studio.paths import assets_folder

MERGES = 48_894
CLIP_TOKENS = 2 * 256 + MERGES + 2


def clip_tokenizer() -> CLIPTokenizer:
    """A tokenizer as in a Diffusers folder of SD 1.x. Raises HearsightError when the assets lack the merges."""
    file = assets_folder() / "clip" / "merges.txt.gz"
    try:
        lines = gzip.decompress(file.read_bytes()).decode("utf-8").split()
    except (OSError, EOFError) as error:
        raise HearsightError(f"The words of CLIP in {file} cannot be read ({error}). Install again.") from None
    merges = list(zip(lines[::2], lines[1::2], strict=True))
    if len(merges) != MERGES:
        raise HearsightError(f"The words of CLIP in {file} are {len(merges)} and not {MERGES}. Install again.")
    letters = _letters()
    tokens = [*letters, *(letter + "</w>" for letter in letters), *(one + other for one, other in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=merges,  # type: ignore[arg-type]  # pairs are what it takes, whatever its annotation says
        model_max_length=77,
    )


def _letters() -> list[str]:
    """The 256 bytes as printable letters, in CLIP's order: those that can be printed first, the others behind."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(256 - len(printable))]
