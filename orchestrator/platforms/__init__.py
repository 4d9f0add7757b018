"""The shop platforms: a folder each, all used alike. What they share stands beside them."""
