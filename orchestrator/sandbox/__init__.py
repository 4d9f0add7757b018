"""Simulated shop platforms over real HTTP, for the demo, the tests, the benchmark and people who try it out.

An independent implementation of the platform facts: it shares no code with the clients that it tests (import-linter
holds this). Start with `server.Sandbox`; `ledger.Ledger` says what was called and what took effect, `faults.FaultPlan`
makes calls go wrong, each platform is a module that implements `platform.SimulatedPlatform`.
"""
