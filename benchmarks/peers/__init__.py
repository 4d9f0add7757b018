"""The same work by others: programs that run in an environment of their own and share no code with the product."""
