"""The torch operator library of this room: kernels that compilers and exporters treat as one opaque operation."""

import torch

library = torch.library.Library("meshlearn", "DEF")
