"""Runs the fuzzers of build/fuzz, one a core, each for its share of the time; prints a table."""

import os
import re
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# A parser that takes longer, or more memory, has no limit of its own.
LIMITS = ["-timeout=10", "-rss_limit_mb=2048", "-malloc_limit_mb=256", "-max_len=65536"]
STACK_BYTES = 1 << 20  # so that recursion that a peer decides about ends soon
COLUMNS = "{:<14}{:>12}{:>10}{:>10}{:>8}  {}"


class Target:
    """One fuzzer and its folders."""

    def __init__(self, root, program):
        self.name = program.name.removeprefix("fuzz.")
        self.program = program
        self.seeds = root / "tests/fuzz/seeds" / self.name
        self.words = root / "tests/fuzz" / f"{self.name}.dict"
        self.corpus = root / "build/fuzz/corpus" / self.name
        self.crashes = root / "build/fuzz/crashes"
        self.log = root / "build/fuzz/logs" / f"{self.name}.log"
        self.text = ""

    def run(self, seconds):
        """Fuzz so long, or until something is found."""
        for folder in (self.corpus, self.crashes, self.log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        command = [self.program, *LIMITS, f"-max_total_time={seconds}", "-print_final_stats=1",
                   f"-artifact_prefix={self.crashes}/{self.name}-"]
        if self.words.exists():
            command.append(f"-dict={self.words}")
        with self.log.open("w", encoding="utf-8") as log:
            done = subprocess.run(
                [*command, self.corpus, self.seeds], stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, check=False,
                env={**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1"})
        self.text = self.log.read_text(encoding="utf-8", errors="replace")
        return done.returncode == 0

    def last(self, pattern):
        """What the last line of this kind says, in its one group."""
        found = re.findall(pattern, self.text)
        return found[-1] if found else "-"

    def found(self):
        """The input that broke it, if one was written."""
        return self.last(r"Test unit written to (\S+)")

    def row(self, good):
        """Its line in the table."""
        return COLUMNS.format(
            self.name, self.last(r"stat::number_of_executed_units: +(\d+)"),
            self.last(r"stat::average_exec_per_sec: +(\d+)"), self.last(r" cov: (\d+)"),
            self.last(r" corp: (\d+)"), "" if good else Path(self.found()).name)

    def tell(self, root):
        """How to see again what was found."""
        program = self.program.relative_to(root)
        print(f"\n{self.name}: the end of {self.log.relative_to(root)}:")
        said = [line for line in self.text.splitlines() if not line.startswith(("#", "stat::"))]
        print("\n".join(said[-40:]))
        print(f"Once more: {program} {os.path.relpath(self.found(), root)}")


def limit_stack():
    """For fuzzers, which begin to run with it."""
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (STACK_BYTES, hard))


def main():
    root, seconds, wanted = Path(sys.argv[1]).resolve(), int(sys.argv[2]), sys.argv[3:]
    programs = sorted((root / "build/fuzz/tests").glob("fuzz.*"))
    targets = [Target(root, program) for program in programs]
    unknown = set(wanted) - {target.name for target in targets}
    if unknown:
        print(f"scripts/fuzz: there is no target {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    targets = [target for target in targets if not wanted or target.name in wanted]
    cores = len(os.sched_getaffinity(0))
    share = max(1, seconds * min(cores, len(targets)) // len(targets))
    limit_stack()
    print(f"{len(targets)} targets, {share} s each, {cores} at a time")
    print(COLUMNS.format("target", "executions", "per s", "coverage", "corpus", "found"))
    bad = []

    def run(target):
        good = target.run(share)
        print(target.row(good), flush=True)
        if not good:
            bad.append(target)

    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(run, targets))
    for target in bad:
        target.tell(root)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
