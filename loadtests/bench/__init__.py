"""The gateway measured against what people would otherwise use; ``python -m loadtests.bench``.

How it is measured, for every contestant alike:

- One core for everything on the server's side (the gateway **and** the servers behind it), another
  for the load generator. A proxied scenario has no more CPU than the direct one.
- The load generator is wrk: closed loop, so its percentiles say what its own connections saw, not
  what arrivals at a fixed rate would have seen.
- Before anything is measured, every contestant must answer 64 different rows, sent at once, as
  ``session.run`` does. A wrong answer disqualifies.
- Every contestant is under load until it gets no faster, 60 s at most, before its first sample.
- All contestants of a scenario are up at the same time, those not asked frozen (SIGSTOP), and are
  measured in turn, round after round, the order reversed every other round. Figures are medians
  over the rounds with the lowest and the highest; ratios are taken within a round.
- A scenario with errors (no connection, time out, status above 399) says how many.
"""
