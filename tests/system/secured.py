"""SuperLinks with TLS, of several releases: one of each serves all tests of a module."""

import json
import os
import re
from pathlib import Path

import pytest
from federation.peers import Federation
from federation.processes import wait_until
from federation.release import find
from tested import AS_ROOT, NO_MOUNTS

RELEASES = ("1.15.2", "1.39.0", "1.41.0")
KNOCK = Path(__file__).parent / "apps/knock"
TROUBLE = re.compile(r" (WARN|ERROR) +supernode: |^flower-supernode: ", re.MULTILINE)


def lab_of(version, folder):
    """A federation of this release; nothing runs yet."""
    binaries = os.environ.get("FLWR_BIN_DIR")
    if not binaries:
        pytest.fail("FLWR_BIN_DIR must name the folder of flower-supernode and flwr-clientapp")
    try:
        release = find(version)
    except LookupError as error:
        pytest.skip(str(error))
    return Federation(folder, release.environment, binaries)


def per_test(request, lab):
    """For a fixture: what one test does in a lab that others use, too. Its nodes end with it."""
    first = len(lab.processes)
    yield lab
    stopped = [node.stop() for node in lab.nodes if node.running()]
    lab.nodes = []
    if request.node.failed or any(stopped):
        for process in [lab.superlink, *lab.processes[first:]]:
            print(f"--- {process.name}:\n{process.text()[-20000:]}")
    assert not any(stopped), stopped


def trouble(node):
    """The lines of warnings and errors, and those without a log."""
    known = (AS_ROOT, NO_MOUNTS)
    lines = [line for line in node.text().splitlines() if not any(each in line for each in known)]
    return [line for line in lines if TROUBLE.search(line)]


def refused(lab, *says, code, status=1, options=None, superlink=None, env=None):
    """A node with this configuration ends, with one line that says this: with status 2 where this
    machine's own options are at fault, with 1 where the SuperLink says so."""
    node = lab.start_node(options=options, superlink=superlink, wait=False, env=env)
    assert node.wait(20) == status
    (line,) = trouble(node)
    for each in says:
        assert each in line, line
    assert f"(Exit Code: {code}, " in line
    return line


def waited_out(lab, *says, options=None, superlink=None, env=None):
    """What answers a node with this configuration may be another one by and by: one line that says
    this, and it is asked again."""
    node = lab.start_node(options=options, superlink=superlink, wait=False, env=env)
    node.wait_log("; trying again each minute")
    (line,) = trouble(node)
    for each in says:
        assert each in line, line
    assert node.stop() == 0
    return line


def knock(lab, name, messages=1, nodes=1):
    """Start a run that sends messages to all nodes, as soon as there are so many."""
    result = lab.folder / name
    lab.run(KNOCK, f'messages={messages} nodes={nodes} result="{result}"')
    return result


def answers(lab, result):
    """What a run's messages were answered with, [code, reason] of each, by node."""

    def ended():
        assert "raised an exception" not in lab.superlink.text()
        return result.exists()

    wait_until(ended, f"the run of {result.name} ends", 60)
    seen = json.loads(result.read_text(encoding="utf-8"))
    return {int(node): replies for node, replies in seen.items()}


def serves(lab, name):
    """Messages to all nodes that are there are done."""
    seen = answers(lab, knock(lab, name, nodes=len(lab.nodes)))
    assert list(seen.values()) == [[[0, ""]]] * len(lab.nodes)
