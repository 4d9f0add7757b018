"""What clients of different platforms share: a client over REST, syncs, access, signatures, types of config keys."""
