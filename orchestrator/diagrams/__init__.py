"""Machines as pictures."""
