"""The 1,797 digits that come with scikit-learn, shared out among the parties.

`python -m native_digits.data PARTITION PARTITIONS FILE` writes those of one party to a file, for
the app in C: a line "digits N HELD_OUT", then for each digit, the held out ones last, 64 bytes of
pixels (0 to 16) and one of its value.
"""

import sys

import numpy as np
from sklearn.datasets import load_digits

SEED = 20
HELD_OUT = 0.2


def load_bytes(partition_id, num_partitions):
    """((pixels, labels) to learn from, (pixels, labels) held out); no digit is in two places."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(labels))
    held_out = int(HELD_OUT * len(labels))

    def part(indices):
        mine = indices[partition_id::num_partitions]
        return pixels[mine].astype(np.uint8), labels[mine].astype(np.uint8)

    return part(order[held_out:]), part(order[:held_out])


def load_partition(partition_id, num_partitions):
    parts = load_bytes(partition_id, num_partitions)
    return [(pixels.astype(np.float32) / 16, labels.astype(int)) for pixels, labels in parts]


def export(partition_id, num_partitions, path):
    parts = load_bytes(partition_id, num_partitions)
    rows = [np.hstack([pixels, labels[:, None]]).tobytes() for pixels, labels in parts]
    with open(path, "wb") as file:
        file.write(f"digits {len(parts[0][1])} {len(parts[1][1])}\n".encode())
        file.writelines(rows)


if __name__ == "__main__":
    export(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
