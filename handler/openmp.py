"""Sets up OpenMP for the engine; import this before ``ctranslate2``, whose libgomp reads the environment once.

OpenMP's threads spin while they wait for each other. Next to a busy neighbour, or under a CPU quota, the one that
spins keeps the one it waits for from running: a translation of 10 ms was seen to take seconds. Passive waiting sleeps.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
