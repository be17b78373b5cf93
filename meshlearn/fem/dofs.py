"""Numbers of dofs as a type of their own, so that they are not taken for numbers of points."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from meshlearn.errors import ParameterError
from meshlearn.fem.arrays import shown

# what picks some of the numbers: its result are numbers of dofs again
_PICKING = {
    Tensor.__getitem__,
    Tensor.index_select,
    torch.index_select,
    Tensor.masked_select,
    torch.masked_select,
    Tensor.unique,
    torch.unique,
    Tensor.sort,
    torch.sort,
    Tensor.flip,
    torch.flip,
    torch.cat,
    Tensor.clone,
    torch.clone,
    Tensor.contiguous,
    Tensor.to,
    Tensor.cpu,
    Tensor.cuda,
    Tensor.detach,
}


class Numbering(NamedTuple):
    """Of a space: how it is called, the type of its element, and its dofs (n_cells, n_local)."""

    text: str
    element: type
    cells: Tensor

    def same(self, other: Numbering) -> bool:
        """Whether numbers of one are those of the other: the same element on the same cells."""
        return self.cells is other.cells or (
            self.element is other.element and torch.equal(self.cells, other.cells.to(self.cells.device))
        )


class Dofs(Tensor):
    """Dof numbers of a space (k,), int64: what `FESpace.dofs` returns, and where plain numbers would mean points.

    Made of a list, a tensor or an array of numbers, or of a mask of all dofs. It is a tensor, to index others with;
    parts of it, `torch.cat` and `torch.unique` of it are dofs again, what is computed with it is not. Those that a
    space gave remember it (`numbering`), and are refused on spaces with others. Raises ParameterError for numbers that
    are no integers, or not a list of them.

    >>> space = ml.fem.FESpace(ml.shapes.square(n=2), "P2")
    >>> space.dofs("left")[:2]
    Dofs([0, 3])
    >>> space.dirichlet(ml.fem.Dofs([24]), 1.0)
    AffineConstraint(n=25, n_free=24, injection)
    """

    numbering: Numbering | None = None

    def __new__(cls, numbers: Any) -> Dofs:
        if isinstance(numbers, Dofs):
            return numbers
        try:
            made = torch.as_tensor(numbers)
        except (TypeError, ValueError, RuntimeError):
            made = torch.zeros(())
        if made.dtype == torch.bool and made.dim() == 1:
            made = torch.nonzero(made)[:, 0]
        if isinstance(numbers, (list, tuple)) and not numbers:
            made = torch.zeros(0, dtype=torch.int64)
        if made.dim() != 1 or made.dtype == torch.bool or made.is_floating_point() or made.is_complex():
            raise ParameterError(
                f"dofs are given as a list of numbers (k,), or as a mask (n_dofs,); got {shown(numbers)}."
            )
        return made.detach().long().as_subclass(cls)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            made = function(*args, **(kwargs or {}))
        if function not in _PICKING:
            return made
        given = args[0] if isinstance(args[0], (list, tuple)) else args[:1]
        if not all(isinstance(one, Dofs) for one in given):
            return made
        numbering = _common(given)
        if isinstance(made, tuple):
            return type(made)((_again(made[0], numbering), *made[1:]))
        return _again(made, numbering)

    def __deepcopy__(self, memo: Any) -> Dofs:
        return Dofs(self.clone())

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Dofs({self.tolist()})" if len(self) <= 12 else f"Dofs({len(self)} numbers)"

    def of(self, space: Any) -> Dofs:
        """The same numbers, which remember that they are a space's."""
        return _named(self.clone(), Numbering(repr(space), type(space.element), space.element_dofs))


def _common(parts: Any) -> Numbering | None:
    """The numbering of those that know theirs. Raises ParameterError for several."""
    known = [part.numbering for part in parts if part.numbering is not None]
    for other in known[1:]:
        if not known[0].same(other):
            raise ParameterError(f"these are dofs of two spaces, {known[0].text} and {other.text}: keep them apart.")
    return known[0] if known else None


def _again(made: Tensor, numbering: Numbering | None) -> Tensor:
    if made.dim() != 1 or made.dtype != torch.int64:
        return made.as_subclass(Tensor)
    return _named(made, numbering)


def _named(numbers: Tensor, numbering: Numbering | None) -> Dofs:
    made = numbers.as_subclass(Dofs)
    made.numbering = numbering
    return made
