"""A federation that a test has: nothing of it goes wrong unseen."""

import os
import re
import signal

import pytest
from federation.peers import Federation
from judge import Judge

TROUBLE = re.compile(
    r"(WARN|ERROR)\s+(supernode|clientapp): "
    r"|AddressSanitizer|LeakSanitizer|runtime error: |Assertion .* failed"
)
# Said at each start as root, which tests may run as.
AS_ROOT = "apps run as root and can do all that root can"
# Said where tests run in a container without user namespaces.
NO_MOUNTS = "apps cannot have mounts of their own here"


def binaries():
    """Where our programs are."""
    folder = os.environ.get("FLWR_BIN_DIR")
    if not folder:
        pytest.fail("FLWR_BIN_DIR must name the folder of flower-supernode and flwr-clientapp")
    return folder


class TestedFederation(Federation):
    """Knows which lines of trouble the test expects in our programs' logs."""

    __test__ = False  # for pytest

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.expected = []
        self.judges = []
        self.others = set()  # nodes that are not this test's

    def expect(self, *patterns):
        """Log lines of these patterns, warnings or errors, are part of the test."""
        self.expected += patterns

    def judge(self, overrides="", **more):
        self.judges.append(Judge(self, overrides, **more))
        return self.judges[-1]

    def unexpected(self):
        """Warnings, errors and sanitizer reports that no test has asked for."""
        found = []
        ours = [each for each in self.nodes + self.clientapps if each.programs == "ours"]
        for node in ours:
            for line in node.text().splitlines():
                known = [*self.expected, AS_ROOT, NO_MOUNTS]
                if TROUBLE.search(line) and not any(re.search(p, line) for p in known):
                    found.append(f"{node.name}: {line}")
        return found

    def finish(self):
        """Take it down as a person would; what is wrong with what is left."""
        for judge in self.judges:
            judge.close()
        wrong = []
        for node in self.clientapps + self.nodes:
            if node.running():
                status = node.stop()
                if status and not (node.programs == "python" and status == -signal.SIGTERM):
                    wrong.append(f"{node.name} ended with {status} after SIGTERM")
        left = self.end()
        # Flower 1.32 may leave a ServerApp that waits for its SuperLink; all else is our affair.
        # One without a command line is at its end already.
        left = {
            pid: command
            for pid, command in left.items()
            if command and "/flwr-serverapp " not in command
        }
        wrong += [f"left over: {pid} {command}" for pid, command in left.items()]
        return wrong + self.unexpected()

    def show_logs(self):
        for log in sorted(self.folder.glob("*.log")):
            text = log.read_text(encoding="utf-8", errors="replace")
            print(f"--- {log}:\n{text[-20000:]}")
