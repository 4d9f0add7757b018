"""What the daemon's promises cost, as ratios within one run."""
