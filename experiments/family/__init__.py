"""Distributional diffusion, its follow-ups and its few-step rivals on one bench: the same net, the same optimiser steps.

Presets are recipes with a name. Each is trained on each target with each seed, judged at every number of steps against fresh data,
and stands between two oracles: the exact posterior, and the exact mean, which no classical model can beat at its number of steps.
"""
