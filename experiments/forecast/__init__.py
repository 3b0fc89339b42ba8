"""What scoring rules see of a wrong ensemble forecast."""
