"""What concerns the process itself: signals, the lock, the log, the passing of time, upkeep."""
