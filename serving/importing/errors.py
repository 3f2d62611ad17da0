"""The one error of the import."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class ImportRefused(Exception):
    """A model that cannot become a folder; said to the user in one line, with what can be done."""


@contextmanager
def refusing(
    what: str, advice: str = "", *, kinds: type[BaseException] = Exception
) -> Iterator[None]:
    """Turn any failure of a library into :class:`ImportRefused`: `what`, its words, `advice`.

    A package that is missing is left as it is: the command says how to install it.
    """
    try:
        yield
    except (ImportRefused, ModuleNotFoundError):
        raise
    except kinds as error:
        raise ImportRefused("; ".join(filter(None, (f"{what}: {words(error)}", advice)))) from error


def words(error: BaseException) -> str:
    """The first line that says something of an error that may be pages long."""
    lines = (line.strip() for line in str(error).splitlines())
    first = next((line for line in lines if line), type(error).__name__)
    return first if len(first) <= 300 else first[:300] + "…"
