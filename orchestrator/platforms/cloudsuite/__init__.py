"""The client of CloudSuite."""
