"""The choice of device and number format, on machines we have and machines we pretend to have."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from studio.device import pick_device
from studio.errors import InputError


def _machine(monkeypatch: pytest.MonkeyPatch, gpu: tuple[int, int] | None = None, **flags: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu is not None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: gpu)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)


@pytest.mark.parametrize(
    ("name", "machine", "device", "dtype", "reason"),
    [
        ("auto", {}, "cpu", torch.float32, "without bfloat16"),
        ("cpu", {"avx512_bf16": True}, "cpu", torch.bfloat16, "AVX512-BF16"),
        ("auto", {"amx_bf16": True, "avx512_bf16": True}, "cpu", torch.bfloat16, "AMX"),
        ("auto", {"gpu": (9, 0)}, "cuda", torch.bfloat16, "native bfloat16"),
        ("cuda", {"gpu": (7, 5)}, "cuda", torch.float16, "float16"),
        ("cpu", {"gpu": (9, 0)}, "cpu", torch.float32, "chosen"),
    ],
)
def test_the_rule(
    name: str, machine: dict[str, Any], device: str, dtype: torch.dtype, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _machine(monkeypatch, **machine)
    choice = pick_device(name)
    assert (choice.device.type, choice.dtype) == (device, dtype)
    assert reason in choice.reason


def test_what_cannot_be_had_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _machine(monkeypatch)
    with pytest.raises(InputError, match="sees no NVIDIA GPU"):
        pick_device("cuda")
    with pytest.raises(InputError, match="Use one of: auto, cpu, cuda"):
        pick_device("gpu")
