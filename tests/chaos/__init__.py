"""Chaos: the real daemon as a process against the sandbox, with everything going wrong at once, and a judge at the end.

`make chaos`, or `python -m tests.chaos`. Chance is seeded: a seed repeats what every actor decides, though not the
moments at which processes get to run. `run` is the order of a run, `world` what all share. `nature`, `people`, `erp`
and `readers` act, `calm` lets everything come to rest, `judge` and `remains` check what was observed and what is left
against the invariants of docs/guarantees.md. With `ENGINE=postgresql` there are several daemons on one database:
`servers` is that, `outages` what happens to it and before it, `tenancy` checks who drove which shop.
"""
