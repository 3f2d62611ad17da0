"""From the ten raw columns to the 17 numbers of the network's input."""

from __future__ import annotations

from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

from serving.weight_change.definition import CATEGORIES, COLUMNS, NUMBERS

#: 7 scaled numbers, then gender (2), activity (4) and sleep (4).
WIDTH = 17


def make_transformer() -> ColumnTransformer:
    """The unfitted transformer, from object (n, 10) to float64 (n, 17).

    Numbers come first, scaled to [0, 1] over the rows it is fitted on, then one column per
    category, both in the order of the definition. An unknown category gives zeros: refusing it is
    the validator's work, and an encoder that raises cannot be exported.
    """
    encoder = OneHotEncoder(
        categories=[list(names) for names in CATEGORIES.values()],
        handle_unknown="ignore",
        sparse_output=False,
    )
    return ColumnTransformer(
        [
            ("numbers", MinMaxScaler(), [COLUMNS.index(name) for name in NUMBERS]),
            ("categories", encoder, [COLUMNS.index(name) for name in CATEGORIES]),
        ]
    )
