"""How a model shares the memory there is: all at once, part by part, in slices and tiles. One rule, said in words."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import nn

from studio.errors import InputError

LIMIT = "HEARSIGHT_MEMORY_GIB"  # what Hearsight may count on, in GiB, where other programs need the rest
GIB = 2**30

# Rough figures for headroom, on the safe side. Decoding in float32 takes about 80 bytes a pixel for each channel of
# the autoencoder's layers at full size (128 in Stable Diffusion: 2.5 GiB for 512 px); a tile of half the side takes a
# quarter. A U-Net takes about 1 GiB for two pictures of 512 px with fused attention, half of it with slices.
DECODE_BYTES = 80
UNET_BYTES = 4096


@dataclass(frozen=True)
class MemoryPlan:
    """offload: components wait in the computer's memory and visit the GPU for their call only.
    slice_attention, tile_vae: less at once, more slowly.  reason: what was found and chosen, in words.
    """

    offload: bool
    slice_attention: bool
    tile_vae: bool
    reason: str


def free_memory(device: torch.device, freed: int = 0) -> int | None:
    """Bytes that are free on the device, at most what HEARSIGHT_MEMORY_GIB says; None where nobody knows.

    freed: bytes that are in use now and are left before they are needed.
    """
    found: int | None = None
    if device.type == "cuda":
        found = torch.cuda.mem_get_info(device)[0]
    else:
        try:
            with open("/proc/meminfo", encoding="ascii") as file:
                rows = dict(line.split(":", 1) for line in file)
            found = int(rows["MemAvailable"].split()[0]) * 1024
        except (OSError, ValueError, KeyError):
            pass  # not Linux
    found = None if found is None else found + freed
    limit = os.environ.get(LIMIT, "").strip()
    if not limit:
        return found
    try:
        allowed = float(limit)
    except ValueError:
        allowed = -1.0
    if not 0 < allowed < 1e6:
        raise InputError(f"{LIMIT} cannot be {limit!r}: give the memory in GiB as a number above 0, such as 6.")
    return int(allowed * GIB) if found is None else min(found, int(allowed * GIB))


def plan_memory(
    weights: dict[str, int], free: int | None, device: torch.device, *, native_size: int, vae_channels: int
) -> MemoryPlan:
    """Choose how to share `free` bytes of the device. Raises InputError when not even the largest part fits.

    weights: bytes of each component as it will be used; on the processor they are loaded already and count no more.
    native_size: side of the picture in pixels.  vae_channels: of the autoencoder's first layer.
    """
    where = "on the GPU" if device.type == "cuda" else "in memory"
    total, largest = sum(weights.values()), max(weights.values(), default=0)
    if free is None:
        return MemoryPlan(False, False, False, "free memory unknown, so everything stays loaded")
    decode = DECODE_BYTES * vae_channels * native_size**2
    work = max(decode, UNET_BYTES * native_size**2)
    figures = f"{total / GIB:.1f} GiB of weights, {free / GIB:.1f} GiB free {where}"
    loaded = device.type == "cpu"
    if free >= (0 if loaded else total) + work:
        return MemoryPlan(False, False, False, f"{figures}: everything stays loaded")
    if not loaded and free >= largest + work:
        return MemoryPlan(True, False, False, f"{figures}: parts take turns on the GPU (offload)")
    need = (0 if loaded else largest) + work // 4
    if not loaded and free < need:
        raise InputError(
            f"The model does not fit on the GPU: its largest part and the work need about {need / GIB:.1f} GiB and "
            f"{free / GIB:.1f} GiB are free. Close other programs, choose a smaller model, or use --device cpu."
        )
    offload = "parts take turns on the GPU (offload), " if not loaded else ""
    return MemoryPlan(not loaded, True, True, f"{figures}: {offload}attention in slices, decoding in tiles")


def tiles_needed(free: int | None, pixels: int, vae_channels: int) -> bool:
    """Whether decoding `pixels` at once would take more than the bytes that are free."""
    return free is not None and free < DECODE_BYTES * vae_channels * pixels


def check_room(needed: int, what: str, freed: int = 0) -> None:
    """Raise InputError when `needed` bytes of weights are more than the computer's free memory.

    freed: bytes that another model would leave before.
    """
    free = free_memory(torch.device("cpu"), freed)
    if free is not None and needed > free:
        raise InputError(
            f"The model {what} does not fit into memory: its weights are {needed / GIB:.1f} GiB and "
            f"{free / GIB:.1f} GiB are free. Close other programs, or choose a smaller model."
        )


class Residence:
    """Which component is on the device just now. Used under the backbone's lock."""

    def __init__(self, device: torch.device, offload: bool) -> None:
        self.device, self.offload = device, offload
        self._here: nn.Module | None = None

    def bring(self, module: nn.Module) -> None:
        """Make sure that a component is on the device; the one that was there goes back to the computer's memory."""
        if not self.offload or self._here is module:
            return
        if self._here is not None:
            nn.Module.to(self._here, "cpu")
        nn.Module.to(module, self.device)
        self._here = module
