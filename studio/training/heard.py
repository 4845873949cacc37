"""What adapters learn from a folder of pairs, computed once and kept in a cache folder: what a frozen ear makes of the
sounds, and the pictures as latents of the frozen autoencoder.

Letters: P pieces of sounds, T_i tokens of piece i of width D, B pieces of a batch, C latent
channels, h x w latent size.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from studio.backbones.base import Backbone
from studio.data.pairs import Pairs
from studio.editing.photo import read_photo, to_pixels
from studio.encoders.base import Encoder, SoundEmbedding
from studio.sound.clip import Clip
from studio.sound.decode import read_clip
from studio.sound.loudness import refuse_silence
from studio.sound.window import cut, loudest_window


@dataclass(frozen=True)
class HeardPairs:
    """What the ear made of pieces of every sound. A long recording's tokens are many (AST: 1214 x 768), so they stay
    on the disk, in float16.

    tokens: float16 [T_1 + ... + T_P, D].  mask: bool, as long.  begins: int64 [P + 1], where each piece begins there.
    pooled: float32 [P, D].  logits: float32 [P, L] or None.  pieces: for each pair the numbers of its pieces.
    """

    tokens: np.ndarray
    mask: np.ndarray
    begins: np.ndarray
    pooled: np.ndarray
    logits: np.ndarray | None
    pieces: tuple[np.ndarray, ...]

    def batch(self, pieces: list[int], device: torch.device | str) -> SoundEmbedding:
        """Some pieces as the ear would give them, filled up to the longest."""
        spans = [slice(int(self.begins[piece]), int(self.begins[piece + 1])) for piece in pieces]
        longest = max(span.stop - span.start for span in spans)
        tokens, mask = [], []
        for span in spans:
            short = longest - (span.stop - span.start)
            tokens.append(F.pad(torch.from_numpy(np.array(self.tokens[span], np.float32)), (0, 0, 0, short)))
            mask.append(F.pad(torch.from_numpy(np.array(self.mask[span])), (0, short)))
        logits = None if self.logits is None else torch.from_numpy(self.logits[pieces]).to(device)
        pooled = torch.from_numpy(self.pooled[pieces]).to(device)
        return SoundEmbedding(torch.stack(tokens).to(device), torch.stack(mask).to(device), pooled, logits)


def listen_to_pairs(pairs: Pairs, ear: Encoder, seconds: float, copies: int, cache: Path) -> HeardPairs:
    """Hear each sound in its loudest piece of `seconds`, and in `copies` - 1 more at random where it is longer.

    A sound that is not longer is heard whole, once. Raises InputError for a sound that cannot be used.
    """
    told = repr([(pair.name, pair.sound.stat().st_size, pair.sound.stat().st_mtime_ns) for pair in pairs.pairs])
    key = hashlib.sha256(f"{told} {ear.name} {seconds} {copies} {_digest(ear)}".encode()).hexdigest()[:16]
    folder = cache / f"heard-{key}"
    if not folder.is_dir():
        part = cache / f"{folder.name}.partial"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _listen(pairs, ear, seconds, copies, part)
        part.replace(folder)
    held = np.load(folder / "heard.npz")
    tokens = np.memmap(folder / "tokens.bin", np.float16, "r").reshape(-1, held["pooled"].shape[1])
    pieces = tuple(np.flatnonzero(held["pair"] == index) for index in range(len(pairs)))
    logits = held["logits"] if held["logits"].size else None
    return HeardPairs(tokens, held["mask"], held["begins"], held["pooled"], logits, pieces)


def _listen(pairs: Pairs, ear: Encoder, seconds: float, copies: int, folder: Path) -> None:
    draw = np.random.default_rng(7)
    begins, mask, pooled, logits, belongs = [0], [], [], [], []
    with (folder / "tokens.bin").open("wb") as out:
        for index, pair in enumerate(tqdm(pairs.pairs, desc="listening", disable=None)):
            clip = read_clip(pair.sound)
            refuse_silence(clip)
            for piece in _pieces(clip, seconds, copies, draw):
                heard = ear.encode([piece])
                heard.tokens[0].detach().cpu().numpy().astype(np.float16).tofile(out)
                mask.append(heard.mask[0].cpu().numpy())
                begins.append(begins[-1] + len(mask[-1]))
                pooled.append(heard.pooled[0].detach().float().cpu().numpy())
                named = heard.logits if heard.logits is not None else torch.zeros(1, 0)
                logits.append(named[0].detach().float().cpu().numpy())
                belongs.append(index)
    np.savez(
        folder / "heard.npz",
        begins=np.array(begins),
        mask=np.concatenate(mask),
        pooled=np.stack(pooled),
        logits=np.stack(logits),
        pair=np.array(belongs),
    )


def _pieces(clip: Clip, seconds: float, copies: int, draw: np.random.Generator) -> list[Clip]:
    if clip.seconds <= seconds:
        return [clip]
    starts = [loudest_window(clip, seconds)[0], *draw.uniform(0, clip.seconds - seconds, copies - 1)]
    return [cut(clip, float(start), seconds) for start in starts]


@torch.no_grad()
def encode_pictures(pairs: Pairs, backbone: Backbone, size: int, cache: Path) -> Tensor:
    """The pictures, cut evenly to squares of `size` px, as latents float16 [pairs, C, h, w].

    Raises InputError for a picture that cannot be read.
    """
    told = repr([(pair.name, pair.picture.stat().st_size, pair.picture.stat().st_mtime_ns) for pair in pairs.pairs])
    key = hashlib.sha256(f"{told} {size} {_digest(backbone.modules()['vae'])}".encode()).hexdigest()[:16]
    file = cache / f"pictures-{key}.npy"
    if not file.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        latents = []
        for pair in tqdm(pairs.pairs, desc=f"encoding pictures at {size} px", disable=None):
            pixels = to_pixels(read_photo(pair.picture, "picture").image, (size, size))
            latents.append(backbone.encode(pixels).half().cpu().numpy())
        partial = file.with_suffix(".partial.npy")
        np.save(partial, np.concatenate(latents))
        partial.replace(file)
    return torch.from_numpy(np.load(file))


def _digest(network: object) -> str:
    """Over the weights of an ear or an autoencoder."""
    total = hashlib.sha256()
    for value in network.state_dict().values() if isinstance(network, nn.Module) else ():
        total.update(value.detach().cpu().float().contiguous().numpy().tobytes())
    return total.hexdigest()
