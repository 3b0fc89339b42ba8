"""Side by side with torch, on this machine: `python -m experiments.benchmark`."""
