"""Nodes of a federation are damaged at random, one fault after the other, each time with three
messages at work: each message gets one reply, nothing is left, memory is back. With scripts/test
--chaos; FLWR_CHAOS_SEED repeats a run, FLWR_CHAOS_SECONDS (120) bounds it, FLWR_CHAOS_FAULTS
(names, by commas) chooses faults. Root has a network and a disk of its own for it; without them
those faults are left out."""

import contextlib
import os
import random
import time

import pytest
from chaos import faults, links, shortages  # which make the table of faults
from chaos.lab import Lab
from chaos.place import own_place
from newest import federation_of

pytestmark = [
    pytest.mark.ours,
    pytest.mark.skipif(not os.environ.get("FLWR_TEST_CHAOS"), reason="scripts/test --chaos"),
]

SECONDS = float(os.environ.get("FLWR_CHAOS_SECONDS", "120"))
NAMES = [name for name in os.environ.get("FLWR_CHAOS_FAULTS", "").split(",") if name]


def names_of(place):
    """Of the faults that can be done there."""
    names = NAMES or list(faults.FAULTS)
    left_out = [name for name in names if faults.FAULTS[name][2] and not place.own]
    if left_out:
        print(f"left out without root and nft: {', '.join(left_out)}")
    return [name for name in names if name not in left_out]


@pytest.mark.parametrize("version", ["1.15.2", "1.41.0"])
def test_chaos(request, version):
    """Each fault once, in any order, and again until the time is over."""
    seed = int(os.environ.get("FLWR_CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"FLWR_CHAOS_SEED={seed}")
    chance = random.Random(seed)
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(own_place())
        print(f"files: {place.folder}")  # they stay when it fails
        federation = stack.enter_context(federation_of(request, place.folder, version))
        lab = stack.enter_context(Lab(federation, place, chance))
        names = names_of(place)
        end = time.monotonic() + SECONDS
        done = 0
        while done == 0 or time.monotonic() < end:
            for name in chance.sample(names, len(names)):
                function, ttl, _ = faults.FAULTS[name]
                began = time.monotonic()
                works = lab.begin(ttl)
                function(lab, works)
                lab.check(works)
                done += 1
                print(f"{done}: {name}: {time.monotonic() - began:.1f} s", flush=True)
        lab.settle()
