"""Conditioning on a measurement by draws of x_0, by particles, and by the mean's plug-in, where the answer is known."""
