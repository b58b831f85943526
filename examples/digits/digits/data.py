"""The 1,797 digits that come with scikit-learn, shared out among the parties."""

import numpy as np
from sklearn.datasets import load_digits

SEED = 20
HELD_OUT = 0.2


def load_partition(partition_id, num_partitions):
    """Return ((x, y) to learn from, (x, y) held out) of one party; no digit is in two places."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(labels))
    held_out = int(HELD_OUT * len(labels))

    def part(indices):
        mine = indices[partition_id::num_partitions]
        return pixels[mine] / 16.0, labels[mine]

    return part(order[held_out:]), part(order[:held_out])
