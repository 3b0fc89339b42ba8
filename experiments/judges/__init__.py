"""What the families of points measure, against what, and beside which exact samplers; images have `imaging`."""
