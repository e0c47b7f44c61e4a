"""Sets up OpenMP for the engine; import this before ``ctranslate2``, whose libgomp reads the environment once.

OpenMP's threads spin while they wait for each other. Next to a busy neighbour, or under a CPU quota, the one that
spins keeps the one it waits for from running: a translation of 10 ms was seen to take seconds. To sleep at once is
safe, and on a quiet machine doubles the time of a translation, whose many short steps each wait for a thread to wake.
So a thread spins for some microseconds, then sleeps: docs/cold-start.md has what each choice costs where.
"""

import os

SPINS = "1000"
"""libgomp counts about 100,000 a millisecond (its env.c). With ten times as many, a translation beside two busy
neighbours takes three times as long."""

if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ["GOMP_SPINCOUNT"] = SPINS
