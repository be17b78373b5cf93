"""Between numpy arrays as files hold them and torch tensors as meshes hold them."""

from __future__ import annotations

import numpy as np
import torch

TORCH_NAMES: dict[torch.dtype, str] = {
    torch.bool: "bool", torch.uint8: "uint8", torch.int8: "int8", torch.int16: "int16", torch.int32: "int32",
    torch.int64: "int64", torch.float16: "float16", torch.bfloat16: "bfloat16", torch.float32: "float32",
    torch.float64: "float64", torch.complex64: "complex64", torch.complex128: "complex128",
    torch.uint16: "uint16", torch.uint32: "uint32", torch.uint64: "uint64",
}  # fmt: skip
TORCH_TYPES = {name: dtype for dtype, name in TORCH_NAMES.items()}


def plain_array(array: np.ndarray) -> np.ndarray:
    """An array that torch can take over: native byte order, aligned, writable, contiguous; copied only if it is not.

    Unsigned integers of more than one byte become signed ones that hold every value (uint64 stays where it must).
    """
    array = np.asarray(array)
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        wide = {2: np.int32, 4: np.int64}.get(array.dtype.itemsize, np.int64)
        if array.dtype.itemsize < 8 or array.size == 0 or array.max() <= np.iinfo(np.int64).max:
            array = array.astype(wide)
    if array.dtype.byteorder not in "=|" or array.dtype == np.longdouble:
        array = array.astype(np.float64 if array.dtype == np.longdouble else array.dtype.newbyteorder("="))
    flags = array.flags
    if not (flags.aligned and flags.writeable and flags.c_contiguous):
        array = np.array(array, order="C", copy=True)
    return array


def to_tensor(array: np.ndarray) -> torch.Tensor:
    """The array as a tensor, without a copy where that is safe."""
    return torch.from_numpy(plain_array(array))


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """The tensor as a contiguous array; types that numpy lacks are widened (bfloat16 to float32)."""
    tensor = tensor.detach().cpu().contiguous().resolve_conj().resolve_neg()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.numpy()


def file_array(tensor: torch.Tensor) -> tuple[np.ndarray, str, list[int]]:
    """(rows x components array of a type that any format has, name of the torch type, shape after the first axis).

    Booleans become uint8, half precision becomes float32, complex numbers become pairs; `restore` undoes all of it.
    A zero-dimensional tensor is one row.
    """
    name, array = TORCH_NAMES[tensor.dtype], to_numpy(tensor)
    array = array.reshape(1) if array.ndim == 0 else array
    rows, trailing = len(array), list(array.shape[1:])
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    elif array.dtype.kind == "c":
        array = array.view(np.float32 if array.dtype == np.complex64 else np.float64)
    width = int(np.prod(trailing)) * (2 if name.startswith("complex") else 1)
    return array.reshape(rows, width), name, trailing


def restore(array: np.ndarray, name: str, shape: list[int]) -> torch.Tensor:
    """Undo `file_array`: the tensor of type `name` and of the whole `shape`."""
    if name.startswith("complex"):
        real = np.float32 if name == "complex64" else np.float64
        array = np.ascontiguousarray(array, dtype=real).view(name)
    tensor = to_tensor(array).to(TORCH_TYPES[name])
    return tensor.reshape(shape)


def squeeze_components(array: np.ndarray) -> np.ndarray:
    """(n, 1) becomes (n,): files do not tell a scalar from a vector of one component."""
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
