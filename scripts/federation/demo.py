"""Runs the digits on a SuperLink and two SuperNodes, and shows how well they learn."""

import argparse
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import release
from .peers import PROGRAMS, Federation
from .processes import Late, wait_until

NODES = 2
GOOD = 0.90
RUN_S = 240
ROOT = Path(__file__).resolve().parents[2]
NATIVE_APP = ROOT / "examples/native-digits"


class Interrupted(Exception):
    pass


def interrupt(*_):
    raise Interrupted


def say(text):
    print(text, flush=True)


def show_progress(federation, log, started):
    """Print what is new in the log of the run until it has ended; the last accuracy."""
    accuracies = []
    rounds_shown = 0
    replies_shown = 0

    def look():
        nonlocal accuracies, rounds_shown, replies_shown
        ended = not log.running()
        text = log.text()
        replies = 0
        for index, node in enumerate(federation.nodes):
            if not node.running():
                raise RuntimeError(f"SuperNode {index + 1} ended early")
            replies += len(re.findall(r"reply sent: |Sent reply", node.text()))
        if replies > replies_shown:
            say(f"  {time.monotonic() - started:3.0f} s  messages answered: {replies}")
        replies_shown = replies
        accuracies = re.findall(r"round (\d+)  accuracy (\d\.\d+)", text)
        for number, accuracy in accuracies[rounds_shown:]:
            say(f"round {number}  accuracy {accuracy}")
        rounds_shown = len(accuracies)
        if "raised an exception" in text + federation.superlink.text():
            raise RuntimeError("the ServerApp failed")
        if ended and "[SUMMARY]" not in text:
            raise RuntimeError("the run ended early")
        return "[SUMMARY]" in text

    try:
        wait_until(look, "the run ends", RUN_S, 0.2)
    except Late as late:
        raise RuntimeError(str(late)) from None
    return float(accuracies[-1][1]) if accuracies else 0.0


def start_native(federation, index):
    """A node without Python, whose digits are in a file."""
    data = federation.folder / "digits"
    export = ["-m", "native_digits.data", index, NODES, data]
    subprocess.run(
        [str(word) for word in (federation.bin / "python", "-B", *export)],
        cwd=NATIVE_APP,
        check=True,
    )
    library = federation.binaries.parent / "examples/bin/native-digits.so"
    options = {"--native-app": f"flwr-native/native-digits={library}", "--python": None}
    federation.start_node(f'data="{data}"', options, wait=False)


def federate(federation, options, started):
    say(f"Starting a SuperLink (Flower {options.flower}) and {NODES} SuperNodes ...")
    federation.start_superlink()
    app = NATIVE_APP if options.native else ROOT / "examples/digits"
    for index in range(NODES):
        if options.native and index == 0:
            start_native(federation, index)
        else:
            federation.start_node(f"partition-id={index} num-partitions={NODES}", wait=False)
    for node in federation.nodes:
        federation.wait_registered(node)
    say(f"Running examples/{app.name}, {options.rounds} rounds ...")
    run_id = federation.run(app, f"num-server-rounds={options.rounds}")
    return show_progress(federation, federation.follow_run(run_id), started)


def show_logs(federation):
    for log in sorted(federation.folder.glob("*.log")):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        print(f"--- the end of {log}:", *lines[-15:], sep="\n", file=sys.stderr)


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def parse():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--flower", default="1.41.0", help="Flower's release (1.41.0)")
    parser.add_argument("--rounds", type=positive, default=3, help="rounds to learn (3)")
    parser.add_argument(
        "--programs", choices=PROGRAMS, default="ours", help="whose SuperNode to run (ours)"
    )
    parser.add_argument(
        "--native", action="store_true", help="one node runs an app in C, and needs no Python"
    )
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        options.flower = release.find(options.flower).version
    except LookupError as missing:
        parser.error(str(missing))
    if options.native and options.programs != "ours":
        parser.error("--native is for --programs ours")
    if options.native and not release.find(options.flower).has_records_api:
        parser.error("--native: the example needs Flower 1.21 or later")
    return options


def main():
    options = parse()
    if options.check:
        return 0
    started = time.monotonic()
    folder = ROOT / "build/demo"
    shutil.rmtree(folder, ignore_errors=True)
    environment = release.find(options.flower).environment
    federation = Federation(folder, environment, ROOT / "build/release/bin", options.programs)
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    failure = None
    accuracy = 0.0
    try:
        accuracy = federate(federation, options, started)
    except (KeyboardInterrupt, Interrupted):
        failure = "interrupted"
    except Exception as error:  # whatever it was: the logs say more, and all must be ended
        failure = str(error)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        federation.end()
    if failure and failure != "interrupted":
        show_logs(federation)
    if failure:
        print(f"The demo was not finished: {failure}. Logs: {folder}", file=sys.stderr)
        return 130 if failure == "interrupted" else 1
    say(f"accuracy {accuracy:.2f} on held-out digits after {time.monotonic() - started:.0f} s")
    if accuracy < GOOD:
        print(f"This is less than {GOOD:.2f}. Logs: {folder}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
