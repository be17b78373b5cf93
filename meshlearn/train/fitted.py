"""What is fitted, and refuses what it was not fitted for."""

from __future__ import annotations

from meshlearn.errors import NotFittedError, ParameterError
from meshlearn.train.params import HasParams


class Fitted(HasParams):
    """Base of what has a `fit`: `is_fitted`, and one way to refuse before it, and after `set_params`."""

    @property
    def is_fitted(self) -> bool:
        """True after `fit` or `load`."""
        return "fields_" in self.__dict__

    def check_fitted(self, action: str) -> None:
        """Raise NotFittedError unless the model was fitted, ParameterError if its parameters were changed since."""
        if not self.is_fitted:
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit before {action}.")
        if changed := self.changed_params():
            raise ParameterError(
                f"set_params changed {', '.join(f'{name}={getattr(self, name)!r}' for name in changed)} after this "
                f"{type(self).__name__} was fitted: what it has learned belongs to other values.\n"
                f"  Call fit(meshes) again before {action}, or set them back."
            )
