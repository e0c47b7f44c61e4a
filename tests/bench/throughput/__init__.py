"""How many sentences a host translates for many clients at once: ``make bench-load``."""
