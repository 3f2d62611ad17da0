"""Python objects the user names, ``package.module:object`` or ``file.py:object``, and pickles."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from serving.importing.errors import ImportRefused, refusing

#: Types that run nothing, which some releases of skops do not know.
_HARMLESS = ("numpy.dtype",)
PICKLES = (".joblib", ".pkl", ".pickle")


def find(reference: str) -> Any:
    """The object a reference names; its module is executed. Raises ImportRefused.

    The current folder is looked in too, as by ``python -m``.
    """
    place, _, path = reference.partition(":")
    if not path:
        raise ImportRefused(f"{reference}: say which object of it, as package.module:object")
    found = find_module(place)
    for name in path.split("."):
        if not hasattr(found, name):
            raise ImportRefused(f"{place} has no {path!r}")
        found = getattr(found, name)
    return found


def unpickle(path: Path, trust: bool) -> Any:
    """The object in a joblib, pickle or skops file; raises ImportRefused.

    A pickle is a program: it is run only with `trust`. A skops file is none; types beyond those
    that skops knows are allowed with `trust` too.
    """
    if not path.is_file():
        raise ImportRefused(f"{path}: there is no such file")
    _search_here()
    if path.suffix == ".skops":
        return _skops(path, trust)
    if not trust:
        raise ImportRefused(
            f"{path.name} is a pickle: loading it runs whatever code is in it; if you know where it"
            " comes from, say --trust"
        )
    import joblib

    with refusing(f"{path.name} cannot be loaded", "is the version of scikit-learn the same?"):
        return joblib.load(path)


def _skops(path: Path, trust: bool) -> Any:
    import skops.io

    with refusing(f"{path.name} cannot be loaded"):
        unknown = [t for t in skops.io.get_untrusted_types(file=path) if t not in _HARMLESS]
        if unknown and not trust:
            raise ImportRefused(
                f"{path.name} holds types that skops does not know, {', '.join(unknown)}; if you"
                " know where it comes from, say --trust"
            )
        return skops.io.load(path, trusted=[*unknown, *_HARMLESS])


def find_module(place: str) -> Any:
    """Import ``package.module`` or ``file.py``; raises ImportRefused where it cannot be."""
    _search_here()
    if place.endswith(".py"):
        file = Path(place)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        if spec is None or spec.loader is None or not file.is_file():
            raise ImportRefused(f"{place}: there is no such file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[file.stem] = module
        with refusing(f"{place} cannot be imported"):
            spec.loader.exec_module(module)
        return module
    with refusing(f"{place} cannot be imported"):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is not None and place.startswith(error.name):
                raise ImportRefused(f"there is no module {place} here") from error
            raise


def _search_here() -> None:
    """A pickle names the modules of its classes; they may lie in the current folder."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
