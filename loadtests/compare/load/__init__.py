"""How fast: requests sent by a process of its own, and figures from every single latency.

A :class:`.plan.Plan` says what to send where; :func:`.load.drive` has :mod:`.driver` carry it out
and gives an :class:`.plan.Outcome`; :mod:`.points` makes rounds and points of outcomes.
"""
