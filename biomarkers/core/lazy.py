"""Public names that are imported when they are first used, so that ``import biomarkers`` costs next to nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

Lazy = tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]


def lazy_names(module: str, homes: Mapping[str, str]) -> Lazy:
    """Make ``__getattr__``, ``__dir__`` and ``__all__`` of a module whose names stand in other modules.

    Parameters
    ----------
    module
        ``__name__`` of the module that offers the names.
    homes
        Name -> module that holds it; ``module:name`` where it has another name there, ``module:`` for the module
        itself.

    Returns
    -------
    ``__getattr__``, ``__dir__``, ``__all__``: what is listed is what is offered, and nothing else.

    Examples
    --------
    >>> get, listed, names = lazy_names("example", {"root": "math:sqrt"})
    >>> get("root")(9.0), listed(), names
    (3.0, ['root'], ['root'])
    """

    def get(name: str) -> Any:
        if name not in homes:
            msg = f"module {module!r} has no attribute {name!r}"
            raise AttributeError(msg)
        home, renamed, other = homes[name].partition(":")
        found = importlib.import_module(home)
        value = found if renamed and not other else getattr(found, other or name)
        if module in sys.modules:
            setattr(sys.modules[module], name, value)
        return value

    names = sorted(homes)
    return get, lambda: list(names), names
