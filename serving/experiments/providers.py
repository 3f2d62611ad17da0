"""The execution providers of this build of ONNX Runtime, and which of them really computes."""

from __future__ import annotations

import onnxruntime as ort

from serving.experiments.errors import NotMeasured
from serving.experiments.findings import Provider, Providers, Timing
from serving.experiments.machine import describe
from serving.experiments.plan import Plan, Step
from serving.experiments.sessions import caller, make_session, providers_of_nodes
from serving.experiments.subject import Subject
from serving.experiments.timing import alternate
from serving.spread import Spread


def run(plan: Plan, subject: Subject, step: Step) -> Providers:
    """Ask every available provider for a session of its own, and time those that can be made.

    A provider that cannot be had is reported with the reason, one that leaves nodes to the CPU
    with their number: nothing falls back unsaid.
    """
    conditions = describe(("onnxruntime", "numpy")) | plan.conditions
    available: list[str] = ort.get_available_providers()
    batches = subject.batches(plan.batches)
    feeds = {batch: subject.feeds(batch, plan.seed + batch) for batch in batches}
    nodes: dict[str, dict[str, int]] = {}
    sessions: dict[str, ort.InferenceSession] = {}
    reasons: dict[str, str] = {}
    for name in available:
        step(f"ask {name} for a session")
        try:
            sessions[name] = make_session(subject.path, plan.threads, provider=name)
            nodes[name] = providers_of_nodes(subject.path, name, feeds[batches[0]])
        except NotMeasured as error:
            sessions.pop(name, None)
            reasons[name] = str(error)
    times: dict[str, list[Timing]] = {name: [] for name in sessions}
    for batch in batches:
        step(f"{batch} rows")
        calls = {name: caller(session, feeds[batch]) for name, session in sessions.items()}
        for name, taken in alternate(calls, plan.rounds, plan.slice_s).items():
            times[name].append(Timing(batch, Spread.of(taken)))
    return Providers(
        conditions=conditions,
        graph=subject.name,
        providers=[
            Provider(
                name=name,
                active=name in sessions,
                nodes=nodes.get(name, {}),
                calls=times.get(name, []),
                reason=reasons.get(name, ""),
            )
            for name in available
        ],
        absent=[name for name in ort.get_all_providers() if name not in available],
    )
