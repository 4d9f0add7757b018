"""The command line: a client of the socket API, and the commands that start, check and keep a daemon.

Every command imports what it works with when it runs, so that `fulfilld --help` stays quick.
"""
