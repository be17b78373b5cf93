"""Operators of weak forms: derivatives of trial, test and known functions, and products of their components."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.argument import HIDDEN, Argument

Operand = Any  # an Argument or a Tensor; checked by hand


def _array(a: Operand) -> Tensor:
    """Values of an argument; a vector or a matrix from outside, the same everywhere, gets the hidden axes."""
    if isinstance(a, Argument):
        return a.value
    if not isinstance(a, Tensor):
        raise ParameterError(
            f"the operators of forms take functions and tensors, not {type(a).__name__}: components are put together "
            "by torch.stack([...]), constant vectors and matrices are torch.tensor([...], dtype=torch.float64).\n"
            "  Functions of a space, u=space.function(dofs), have derivatives, tensors of cells or points have none."
        )
    return a.reshape(*a.shape, *[1] * HIDDEN) if a.dim() in (1, 2) else a


def _rank(a: Tensor) -> int:
    return max(a.dim() - HIDDEN, 0)


def _argument(u: Operand, what: str) -> Argument:
    if not isinstance(u, Argument):
        raise ParameterError(
            f"{what}() takes a trial, test or known function of the form, not {type(u).__name__}: derivatives of "
            "products are written out, grad(k * u) = k * grad(u) + u * grad(k)."
        )
    return u


def grad(u: Operand) -> Tensor:
    """Gradient; of a vector the matrix of the derivatives of component i in direction j."""
    return _argument(u, "grad").grad


def hess(u: Operand) -> Tensor:
    """Second derivatives (elements with global functions only: Argyris, Morley, Hermite, BFS)."""
    return _argument(u, "hess").hess


def div(u: Operand) -> Tensor:
    """Divergence of a vector."""
    return _argument(u, "div").div


def curl(u: Operand) -> Tensor:
    """Curl: of a vector in space a vector, of a vector in the plane a scalar, of a scalar in the plane the rotated
    gradient (d/dy, -d/dx)."""
    return _argument(u, "curl").curl


def dot(a: Operand, b: Operand) -> Tensor:
    """Product over the last components of a and the first of b: vectors to a scalar, matrix times vector …"""
    a, b = _array(a), _array(b)
    ranks = _rank(a), _rank(b)
    if ranks == (0, 0):
        return a * b
    if 0 in ranks:
        raise ParameterError(
            f"dot(a, b) takes vectors or matrices, here {'a' if ranks[0] == 0 else 'b'} is a scalar; a scalar "
            "multiplies with *."
        )
    last = ranks[0] - 1
    if a.shape[last] != b.shape[0]:
        raise ParameterError(f"dot(a, b): a has {a.shape[last]} components, b has {b.shape[0]}.")
    left = a.movedim(last, 0)
    return sum(_outer(left[k], b[k], ranks[0] - 1) for k in range(len(b)))  # type: ignore[return-value]


def _outer(a: Tensor, b: Tensor, rank: int) -> Tensor:
    return a[(slice(None),) * rank + (None,) * _rank(b)] * b if rank else a * b


def inner(a: Operand, b: Operand) -> Tensor:
    """Product over all components: a : b."""
    a, b = _array(a), _array(b)
    rank = _rank(a)
    if rank != _rank(b) or a.shape[:rank] != b.shape[: _rank(b)]:
        raise ParameterError(
            f"inner(a, b) takes equal components, got {tuple(a.shape[:rank])} and {tuple(b.shape[: _rank(b)])}."
        )
    return (a * b).sum(tuple(range(rank))) if rank else a * b


def outer(a: Operand, b: Operand) -> Tensor:
    """Matrix a_i b_j."""
    a, b = _array(a), _array(b)
    return _outer(a, b, _rank(a))


def transpose(a: Operand) -> Tensor:
    """Transpose of a matrix."""
    return _array(a).transpose(0, 1)


def sym(a: Operand) -> Tensor:
    """Symmetric part of a matrix; sym(grad(u)) is the small strain."""
    a = _array(a)
    return 0.5 * (a + a.transpose(0, 1))


def trace(a: Operand) -> Tensor:
    """Trace of a matrix."""
    a = _array(a)
    if _rank(a) != 2 or a.shape[0] != a.shape[1]:
        raise ParameterError(f"trace() takes a square matrix, got components {tuple(a.shape[: _rank(a)])}.")
    return sum(a[k, k] for k in range(len(a)))  # type: ignore[return-value]


def identity(like: Operand) -> Tensor:
    """Identity matrix of the size of a square matrix."""
    a = _array(like)
    return torch.eye(len(a), dtype=a.dtype, device=a.device).reshape(len(a), len(a), *[1] * HIDDEN)


def det(a: Operand) -> Tensor:
    """Determinant of a matrix."""
    a = _array(a)
    if len(a) == 2:
        return a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]
    return (a[:, 0] * torch.linalg.cross(a[:, 1], a[:, 2], dim=0)).sum(0)


def inverse(a: Operand) -> Tensor:
    """Inverse of a matrix of 2 x 2 or 3 x 3 components."""
    a = _array(a)
    if len(a) == 2:
        rows = torch.stack([torch.stack([a[1, 1], -a[0, 1]]), torch.stack([-a[1, 0], a[0, 0]])])
    else:
        rows = torch.stack([torch.linalg.cross(a[:, (k + 1) % 3], a[:, (k + 2) % 3], dim=0) for k in range(3)])
    return rows / det(a)


def cross(a: Operand, b: Operand) -> Tensor:
    """Cross product of two vectors in space, or the scalar a_x b_y - a_y b_x in the plane."""
    a, b = _array(a), _array(b)
    if len(a) == 2:
        return a[0] * b[1] - a[1] * b[0]
    a, b = torch.broadcast_tensors(a, b)
    return torch.linalg.cross(a, b, dim=0)
