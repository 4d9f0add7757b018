"""The client of Selldone."""
