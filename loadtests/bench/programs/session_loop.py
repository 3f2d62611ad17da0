"""A bare ``session.run`` loop: what the engine alone does on its core.

Usage: ``python session_loop.py MODEL INPUT.npy THREADS WARM_SECONDS SECONDS``; prints one JSON
object of a sample's fields, a run being a request.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import onnxruntime as ort


def main() -> None:
    """Warm up, then run one row after the other for as long as asked."""
    path, tensor, threads, warm, seconds = sys.argv[1:]
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(threads)
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds = {session.get_inputs()[0].name: np.load(tensor)}
    _loop(session, feeds, float(warm))
    times = _loop(session, feeds, float(seconds))
    p50, p99 = np.percentile(times, [50, 99]) * 1e3
    print(
        json.dumps(
            {
                "requests": len(times),
                "errors": 0,
                "seconds": sum(times),
                "p50_ms": p50,
                "p99_ms": p99,
                "max_ms": max(times) * 1e3,
            }
        )
    )


def _loop(
    session: ort.InferenceSession, feeds: dict[str, np.ndarray[Any, Any]], seconds: float
) -> list[float]:
    """Seconds of each run, one straight after the other."""
    times = []
    started = before = time.perf_counter()
    while before - started < seconds:
        session.run(None, feeds)
        now = time.perf_counter()
        times.append(now - before)
        before = now
    return times


if __name__ == "__main__":
    main()
