"""What safetensors files call the dtypes of full precision."""

from __future__ import annotations

import torch

STORED_DTYPES = {"F64": torch.float64, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
