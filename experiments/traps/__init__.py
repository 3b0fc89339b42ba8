"""Three mistakes of published code, each beside the right formula: what they cost, on targets with a known truth."""
