"""What clients of different platforms share: a client over REST, sweeps, access, signatures, types of config keys."""
