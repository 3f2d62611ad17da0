"""The driver's process: reads a :class:`Plan`, carries it out, writes the :class:`Outcome`.

``python -m loadtests.compare.load.driver`` reads the plan, msgpack preceded by its length in four
bytes, from its standard input, and writes the outcome, msgpack, to its standard output.
"""

from __future__ import annotations

import gc
import struct
import sys

import msgspec
import uvloop

from loadtests.compare.load.closed import ClosedLoop
from loadtests.compare.load.generator import Generator
from loadtests.compare.load.open import OpenLoop
from loadtests.compare.load.plan import Outcome, Plan


async def carry_out(plan: Plan) -> Outcome:
    """Carry out a plan in this process."""
    generator: Generator = ClosedLoop(plan) if plan.rate is None else OpenLoop(plan)
    # What is here stays; what a request needs is freed without the collector's help.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    return await generator.run()


def _main() -> None:
    (length,) = struct.unpack(">I", sys.stdin.buffer.read(4))
    plan = msgspec.msgpack.decode(sys.stdin.buffer.read(length), type=Plan)
    outcome = uvloop.run(carry_out(plan))
    # Not sys.stdout.buffer: with PYTHONUNBUFFERED that is the bare file, and may write a part only.
    with open(sys.stdout.fileno(), "wb", closefd=False) as output:
        output.write(msgspec.msgpack.encode(outcome))


if __name__ == "__main__":
    _main()
