"""Pure rules: quotas, days, clocks and money. Knows no I/O and only the standard library."""
