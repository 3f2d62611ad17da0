# mypy: disable-error-code="import-not-found, misc, untyped-decorator, unused-ignore"
"""FastAPI the usual way: a pydantic model, one ``session.run`` per request.

Usage: ``uvicorn fastapi_app:app``. ``/predict`` and ``/predict/rows`` are coroutines, which run in
the event loop; ``/predict/thread`` is the same as a plain function, which FastAPI moves to a
thread. The benchmark measures both and takes the faster.
"""

from __future__ import annotations

from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel
from session import Session

app = FastAPI()
session = Session()


class Row(BaseModel):
    """The payload."""

    age: int
    gender: Literal["F", "M"]
    current_weight: float
    bmr: float
    daily_calories_consumed: float
    daily_caloric_surplus_deficit: float
    duration: int
    stress_level: int
    physical_activity_level: Literal[
        "Lightly Active", "Moderately Active", "Sedentary", "Very Active"
    ]
    sleep_quality: Literal["Excellent", "Fair", "Good", "Poor"]


class Prediction(BaseModel):
    """The answer to one row, in lb."""

    weight_change: float


def _predict(rows: list[Row]) -> list[Prediction]:
    columns = {name: [getattr(row, name) for row in rows] for name in session.names}
    return [Prediction(weight_change=value) for value in session.run(columns)]


@app.post("/predict")
async def predict(row: Row) -> Prediction:
    """One row."""
    return _predict([row])[0]


@app.post("/predict/thread")
def predict_in_thread(row: Row) -> Prediction:
    """One row, in a thread of FastAPI's pool."""
    return _predict([row])[0]


@app.post("/predict/rows")
async def predict_rows(rows: list[Row]) -> list[Prediction]:
    """A list of rows in one body."""
    return _predict(rows)
