"""Nodes of a federation are damaged at random, one fault after the other: each message gets one
reply, nothing is left, memory is back. With scripts/test --chaos; FLWR_CHAOS_SEED repeats a run,
FLWR_CHAOS_SECONDS (120) bounds it, FLWR_CHAOS_FAULTS (names, by commas) chooses faults."""

import os
import random
import time

import pytest
from chaos.faults import FAULTS
from chaos.lab import Lab
from newest import federation_of

pytestmark = [
    pytest.mark.ours,
    pytest.mark.skipif(not os.environ.get("FLWR_TEST_CHAOS"), reason="scripts/test --chaos"),
]

SECONDS = float(os.environ.get("FLWR_CHAOS_SECONDS", "120"))
NAMES = [name for name in os.environ.get("FLWR_CHAOS_FAULTS", "").split(",") if name] or FAULTS


@pytest.mark.parametrize("version", ["1.15.2", "1.41.0"])
def test_chaos(request, tmp_path, version):
    """Each fault once, in any order, and again until the time is over."""
    seed = int(os.environ.get("FLWR_CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"FLWR_CHAOS_SEED={seed}")
    chance = random.Random(seed)
    with federation_of(request, tmp_path, version) as federation:
        lab = Lab(federation, tmp_path, chance)
        end = time.monotonic() + SECONDS
        done = 0
        while done == 0 or time.monotonic() < end:
            for name in chance.sample(list(NAMES), len(NAMES)):
                function, ttl = FAULTS[name]
                began = time.monotonic()
                work = lab.begin(ttl)
                function(lab, work)
                pids = work.pids if work.file.exists() else []
                lab.check(pids)
                done += 1
                print(f"{done}: {name}: {time.monotonic() - began:.1f} s", flush=True)
        lab.close()
