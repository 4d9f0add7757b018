"""Selldone as the sandbox simulates it."""
