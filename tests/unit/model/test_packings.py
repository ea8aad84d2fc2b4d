"""Each packing is undone: matrices are packed here as the tools' own descriptions say, in plain loops."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from kbsync.domain.errors import ModelError
from kbsync.model.packings import packings_for, unpacked

OUT, IN, GROUP = 24, 64, 32
AWQ = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which of eight columns stands in the n-th place of an integer, from the lowest bits on (AutoAWQ)."""


def draw(*shape: int, low: int = 0, high: int = 16) -> Tensor:
    return torch.randint(
        low, high, shape, generator=torch.Generator().manual_seed(sum(shape) + high), dtype=torch.int64
    )


def scales(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(3)) + 0.5


def words(numbers: Tensor, order: tuple[int, ...] = tuple(range(8)), bits: int = 4) -> Tensor:
    """Numbers (rows, columns) as (rows, columns · bits / 32) integers of 32 bits."""
    per = len(order)
    packed = torch.zeros(len(numbers), numbers.shape[1] // per, dtype=torch.int64)
    for row in range(len(numbers)):
        for column in range(packed.shape[1]):
            for place, which in enumerate(order):
                packed[row, column] |= int(numbers[row, column * per + which]) << (bits * place)
    return torch.where(packed >= 2**31, packed - 2**32, packed).int()


def gptq(**more: Any) -> tuple[dict[str, Any], dict[str, Tensor], Tensor]:
    q, z, s = draw(OUT, IN), draw(IN // GROUP, OUT, low=1), scales(IN // GROUP, OUT).half()
    group = torch.arange(IN) // GROUP
    if more.get("desc_act"):
        group = group[torch.randperm(IN, generator=torch.Generator().manual_seed(1))]
    kept = z - int(more.get("checkpoint_format") != "gptq_v2")
    parts = {".qweight": words(q).T.contiguous(), ".qzeros": words(kept), ".scales": s, ".g_idx": group.int()}
    expected = torch.stack([(q[:, i] - z[group[i]]) * s[group[i]].float() for i in range(IN)], dim=1)
    return {"quant_method": "gptq", "bits": 4, "group_size": GROUP, **more}, parts, expected


def awq() -> tuple[dict[str, Any], dict[str, Tensor], Tensor]:
    q, z, s = draw(IN, OUT), draw(IN // GROUP, OUT), scales(IN // GROUP, OUT).half()
    parts = {".qweight": words(q, AWQ), ".qzeros": words(z, AWQ), ".scales": s}
    expected = torch.stack([(q[i] - z[i // GROUP]) * s[i // GROUP].float() for i in range(IN)], dim=1)
    return {"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm"}, parts, expected


def bitsandbytes_8() -> tuple[dict[str, Any], dict[str, Tensor], Tensor]:
    q, largest = draw(OUT, IN, low=-127, high=128), scales(OUT)
    expected = torch.stack([q[row] * largest[row] / 127 for row in range(OUT)])
    return {"quant_method": "bitsandbytes"}, {".weight": q.to(torch.int8), ".SCB": largest}, expected


def bitsandbytes_4(nested: bool) -> tuple[dict[str, Any], dict[str, Tensor], Tensor]:
    table, q, size = torch.linspace(-1, 1, 16), draw(OUT * IN), 64
    told: dict[str, Any] = {"blocksize": size, "shape": [OUT, IN], "quant_type": "nf4", "dtype": "bfloat16"}
    blocks = OUT * IN // size
    parts = {".weight": ((q[::2] << 4) | q[1::2]).to(torch.uint8)[:, None], ".weight.quant_map": table}
    if nested:
        bytes_, of_bytes, outer = draw(blocks, high=256), torch.linspace(-1, 1, 256), scales(-(-blocks // 8))
        largest = torch.stack([of_bytes[bytes_[n]] * outer[n // 8] + 2.0 for n in range(blocks)])
        parts |= {".weight.absmax": bytes_.to(torch.uint8), ".weight.nested_quant_map": of_bytes}
        parts[".weight.nested_absmax"] = outer
        told |= {"nested_blocksize": 8, "nested_offset": 2.0}
    else:
        parts[".weight.absmax"] = largest = scales(blocks)
    parts[".weight.quant_state.bitsandbytes__nf4"] = torch.tensor(list(json.dumps(told).encode()), dtype=torch.uint8)
    expected = torch.stack([table[q[n]] * largest[n // size] for n in range(OUT * IN)]).reshape(OUT, IN)
    return {"quant_method": "bitsandbytes", "load_in_4bit": True}, parts, expected


def fp8(shape: tuple[int, ...], end: str, **method: Any) -> tuple[dict[str, Any], dict[str, Tensor], Tensor]:
    q, s = (torch.randn(OUT, IN, generator=torch.Generator().manual_seed(5))).to(torch.float8_e4m3fn), scales(*shape)
    expected = q.float().clone()
    for row in range(OUT):
        for column in range(IN):
            at = [n * size // whole for n, size, whole in zip((row, column), (*shape, 1, 1)[:2], (32, IN), strict=True)]
            at = [row if shape == (OUT, 1) else at[0], at[1]]
            expected[row, column] *= s.reshape(-1)[0] if s.numel() == 1 else s[at[0], at[1]]
    return method, {".weight": q, end: s}, expected


def compressed(symmetric: bool) -> tuple[dict[str, Any], dict[str, Tensor], Tensor]:
    q, s, z = draw(OUT, IN, low=-8, high=8), scales(OUT, IN // GROUP), draw(OUT, IN // GROUP, low=-8, high=8)
    parts = {".weight_packed": words(q + 8), ".weight_scale": s, ".weight_shape": torch.tensor([OUT, IN])}
    if symmetric:
        z = torch.zeros_like(z)
    else:
        parts[".weight_zero_point"] = words((z + 8).T).T.contiguous()
    expected = torch.stack([(q[:, i] - z[:, i // GROUP]) * s[:, i // GROUP] for i in range(IN)], dim=1)
    groups = {"group_0": {"weights": {"num_bits": 4, "symmetric": symmetric, "group_size": GROUP}}}
    return {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": groups}, parts, expected


def integers() -> tuple[dict[str, Any], dict[str, Tensor], Tensor]:
    q, s = draw(OUT, IN, low=-128, high=128), scales(OUT, 1)
    settings = {"quant_method": "compressed-tensors", "format": "int-quantized"}
    return settings, {".weight": q.to(torch.int8), ".weight_scale": s}, q * s


PACKED = {
    "gptq": gptq(),
    "gptq, act order": gptq(desc_act=True),
    "gptq v2": gptq(checkpoint_format="gptq_v2"),
    "awq": awq(),
    "bitsandbytes, 8 bits": bitsandbytes_8(),
    "bitsandbytes, 4 bits": bitsandbytes_4(False),
    "bitsandbytes, nested": bitsandbytes_4(True),
    "fp8, blocks": fp8((2, 2), ".weight_scale_inv", quant_method="fp8", weight_block_size=[16, 32]),
    "fp8, one scale": fp8((1,), ".weight_scale_inv", quant_method="fp8"),
    "fp8, rows": fp8((OUT, 1), ".weight_scale", quant_method="compressed-tensors", format="float-quantized"),
    "integers in words": compressed(True),
    "integers in words, zero points": compressed(False),
    "integers in bytes": integers(),
}


@pytest.mark.parametrize("kind", PACKED)
def test_a_matrix_is_unpacked(kind: str) -> None:
    settings, parts, expected = PACKED[kind]
    (packing,) = [p for p in packings_for(settings) if all(end in parts for end in (p.key, *p.needs))]
    assert set(parts) <= {packing.key, *packing.needs, *packing.may}
    found = unpacked("w", packing, parts, settings)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected.float(), rtol=1e-5, atol=1e-6)


def test_mxfp4_is_unpacked_as_transformers_does() -> None:
    blocks, powers = draw(2, OUT, IN // 32, 16, high=256).to(torch.uint8), draw(2, OUT, IN // 32, low=120, high=131)
    (packing,) = packings_for({"quant_method": "mxfp4"})
    found = unpacked("w", packing, {"_blocks": blocks, "_scales": powers.to(torch.uint8)}, {})
    theirs = convert_moe_packed_tensors(blocks, powers.to(torch.uint8), dtype=torch.float32)
    torch.testing.assert_close(found, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("kind", PACKED)
def test_parts_that_do_not_fit_together_are_refused(kind: str) -> None:
    settings, parts, _ = PACKED[kind]
    (packing,) = [p for p in packings_for(settings) if all(end in parts for end in (p.key, *p.needs))]
    end = next(name for name in parts if name.endswith(("scale", "scale_inv", "scales", "SCB", "absmax")))
    broken = parts | {end: torch.full((7, 3, 5), torch.nan)}
    with pytest.raises(ModelError, match=r"w (can't be read in full precision|holds numbers that are not finite)"):
        unpacked("w", packing, broken, settings)


def test_what_is_not_known_has_no_packing() -> None:
    for settings in ({"quant_method": "aqlm"}, {"quant_method": "compressed-tensors", "format": "marlin-24"}, {}):
        assert packings_for(settings) == ()
