"""Distributional diffusion, its follow-ups and few-step baselines on the same data."""
