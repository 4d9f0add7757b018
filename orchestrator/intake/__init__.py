"""How orders come in: what a poll, a read or a hint showed is adopted here, by one road."""
