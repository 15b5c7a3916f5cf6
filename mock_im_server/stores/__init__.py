"""Where counts are kept: the store contract and its implementations."""
