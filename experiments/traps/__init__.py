"""Three published mistakes and what each costs."""
