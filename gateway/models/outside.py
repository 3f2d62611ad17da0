"""Values outside the training range: a warning for the client, and a count for whoever watches."""

from __future__ import annotations

from gateway.models.manifest import Feature, format_number

#: How many values one answer warns of by name; the rest are counted.
MAX_WARNINGS = 100


class Outside:
    """What one request holds of them; ``counts`` says how many values of which feature."""

    __slots__ = ("_told", "counts")

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._told: list[str] = []

    def add(self, feature: Feature, value: float, pointer: str, index: int) -> None:
        """Note a value of row ``index``; ``pointer`` is a row's pointer, ``{}`` its index."""
        self.counts[feature.name] = self.counts.get(feature.name, 0) + 1
        if len(self._told) < MAX_WARNINGS:
            where = f"{pointer.format(index)}/{feature.name}".lstrip("/")
            low, high = feature.range or feature.limits
            span = f"{format_number(low)}–{format_number(high)}"
            self._told.append(
                f"{where}: {format_number(value)} is outside the training range {span}"
            )

    @property
    def warnings(self) -> list[str]:
        """The warnings, at most ``MAX_WARNINGS`` and one that counts the rest."""
        more = sum(self.counts.values()) - len(self._told)
        if not more:
            return self._told
        return [*self._told, f"{more} more values are outside their training range"]
