"""Cold starts, timed from outside: the function, the bare engine, and the way a tutorial would have it.

``make bench-cold`` runs it; docs/cold-start.md is what it wrote, and says what the rows and the cells are.
"""
