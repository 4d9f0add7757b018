"""Vendure in the sandbox."""
