"""The processes that train one model together, through Hugging Face Accelerate.

Each draws samples of its own, and the mean of their gradients is what all of them step by; so they hold the same
weights at every step, and only the first one writes files. A run goes on with any other number of processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from accelerate import Accelerator


class Workers:
    """All processes of this run. rank: which of them this is, 0 the first.  count: how many there are."""

    def __init__(self, device: str = "cpu") -> None:
        """Join the others, if `accelerate launch` has started some: "cuda" is this process's own one from here on."""
        self._accelerator = _accelerator(device)
        self.rank = self._accelerator.process_index if self._accelerator else 0
        self.count = self._accelerator.num_processes if self._accelerator else 1

    @property
    def first(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes; a missing one counts as 0 where another has it."""
        if self.count == 1 or self._accelerator is None:
            return
        for parameter in parameters:
            if parameter.grad is None:  # which parts of a model take part may be drawn by chance
                parameter.grad = torch.zeros_like(parameter)
            parameter.grad = self._accelerator.reduce(parameter.grad, reduction="mean")

    def agreed(self, value: float, device: str) -> float:
        """The mean of a number over the processes, the same for all: what decides must not differ between them."""
        if self.count == 1 or self._accelerator is None:
            return value
        told = torch.tensor([value], dtype=torch.float32, device=device)
        return float(self._accelerator.reduce(told, reduction="mean"))

    def wait(self) -> None:
        """Go on when all have come this far."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()


def _accelerator(device: str) -> Accelerator | None:
    """Alone there is nothing to join, and a device that the user has chosen stays chosen."""
    if processes() < 2:
        return None
    from accelerate import Accelerator

    return Accelerator(cpu=torch.device(device).type == "cpu")


def processes() -> int:
    """How many processes train together, before they have joined."""
    return max(1, int(os.environ.get("WORLD_SIZE", "1")))
