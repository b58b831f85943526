"""Writes the seeds that real Flower packages make, with the generators of the unit tests.

    python3 tests/fuzz/gen_seeds.py    (in a checkout with scripts/setup --for-tests)

Of everything that a generator prints under a name the smallest two are kept that differ. All other
seeds are written by hand, or were found by a fuzzer.
"""

import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SEEDS = ROOT / "tests/fuzz/seeds"
OLD = ROOT / "build/python/flower-1.15.2/bin/python"
NEW = ROOT / "build/python/flower-1.41.0/bin/python"
UNIT = ROOT / "tests/unit"

# Script, Python, and which target has what is printed under a name.
GENERATORS = [
    (UNIT / "common/message/gen_envelopes.py", OLD, {
        "envelope": ["message", "run", "context", "fab"],
        "instruction": ["inputs", "outputs", "status", "token"],
        "fleet": ["pull_messages", "pull_two", "get_run", "get_fab", "create_node", "ping_true",
                  "push_stored", "push_dropped"],
    }),
    (UNIT / "common/message/gen_task_calls.py", NEW, {
        "task": ["pulled", "push", "pushed", "output", "heartbeat", "pending_one",
                 "get_run_response"],
    }),
    (UNIT / "common/message/gen_object_calls.py", NEW, {
        "object_calls": ["request", "pulled", "stored"],
    }),
    (UNIT / "common/records/gen_bidi.py", OLD, {
        "bidi": ["ins", "reply_train", "reply_evaluate", "reply_get_parameters",
                 "reply_get_properties", "reply_reconnect"],
    }),
    (UNIT / "clientapp/run/gen_replies.py", OLD, {"reply": ["reply", "failure"]}),
]
TRUSTED = ["entities", "flow", "folded", "document", "alias", "nested"]


def lines(python, script, argument):
    """What the script prints: pairs of name and rest."""
    done = subprocess.run(
        [python, "-B", script, argument], capture_output=True, text=True, check=True)
    return [line.split(" ", 1) for line in done.stdout.splitlines()]


def write(target, name, data):
    """One seed."""
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def write_smallest(target, name, inputs):
    """The smallest that is not empty, and one of the middle."""
    inputs = sorted({data for data in inputs if data}, key=len)
    for number, data in enumerate(dict.fromkeys([inputs[0], inputs[len(inputs) // 2]])):
        write(target, f"{name}-{number}", data)


def main():
    for script, python, targets in GENERATORS:
        printed = lines(python, script, "1")
        for target, names in targets.items():
            for name in names:
                write_smallest(target, name, [bytes.fromhex(h) for n, h in printed if n == name])
    with tempfile.TemporaryDirectory() as folder:
        lines(NEW, UNIT / "common/fab/gen_trusted.py", folder)
        for name in TRUSTED:
            write("trusted", f"{name}.yaml", (Path(folder) / f"{name}.yaml").read_bytes())


if __name__ == "__main__":
    main()
