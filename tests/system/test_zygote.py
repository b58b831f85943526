"""Apps that are forked from a Python that has imported already: as fast as that, and as if each had an interpreter of its own."""

import json
import os
import re
import signal

import pytest
from judge import at_its_end, at_work, serves
from newest import newest_federation
from test_failures import FAILED, TOLD
from test_isolation import Pair

from federation.processes import command_of, tree_of, wait_until

pytestmark = [pytest.mark.ours, pytest.mark.shared]

READY = r"zygote pid=(\d+): ready"


@pytest.fixture(params=["1.15.2", "1.41.0"])
def lab(request, tmp_path):
    """A federation of the oldest or the newest release."""
    if request.param == "1.15.2":
        yield request.getfixturevalue("federation")
        return
    with newest_federation(request, tmp_path / "newest") as federation:
        yield federation


def start(federation, **more):
    federation.start_superlink()
    node = federation.start_node(**more)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    return node, judge, node_id


def warm(agent):
    """Wait until its zygote has forked ahead; its pid."""
    found = agent.wait_log(READY + r"(?s:.*)fork of the zygote: forked pid=\d+$")
    return int(found.group(1))


def traces(judge, node_id):
    reply = judge.ask(node_id, "traces")
    assert reply["code"] == 0, reply
    return json.loads(reply["configs"]["known"]["json"])


def test_nothing_is_left(lab, tmp_path):
    """A message finds what it finds in an interpreter of its own, whatever the one before has left."""
    node, judge, node_id = start(lab)
    cold = traces(judge, node_id)
    assert not cold["forked"]
    warm(node)
    file = tmp_path / "left"
    first = traces(judge, node_id)
    assert judge.ask(node_id, "soil", file=str(file))["code"] == 0
    second = traces(judge, node_id)
    assert first["forked"] and second["forked"]
    assert (tmp_path / "left.forked").read_text(encoding="utf-8") == "True"
    assert first["seen"] == cold["seen"]
    assert second["seen"] == cold["seen"]
    for name in cold["own"]:
        assert len({found["own"][name] for found in (cold, first, second)}) == 3, name
    # It has ended as Python does, before the next message.
    assert file.read_text(encoding="utf-8") == "exit "


def test_processes_below(lab):
    node, judge, node_id = start(lab)
    assert serves(judge, node_id) == 1
    warm(node)
    reply = judge.ask(node_id, "below")
    assert reply["code"] == 0, reply
    pids = reply["metrics"]["pids"]
    assert pids.pop("forked") == 1
    assert len(set(pids.values())) == 3


def test_own_end(one_node, tmp_path):
    """Threads are waited for, exit handlers run, files are written."""
    federation, node, node_id, judge = one_node
    assert serves(judge, node_id) == 1
    warm(node)
    pid, pipe, file = at_its_end(judge, node_id, tmp_path)
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        above = int(stat.read().rpartition(")")[2].split()[1])
    with open(f"/proc/{above}/comm", encoding="ascii") as name:
        assert name.read() == "flwr-app-start\n"
    with open(pipe, "w", encoding="utf-8") as word:
        word.write("go")
    federation.wait_gone([pid, above])
    assert file.read_text(encoding="utf-8") == "row thread exit"
    assert serves(judge, node_id) == 2
    assert len(re.findall("started plainly", node.text())) == 1


def test_crash(one_node):
    """It is known at once, and the next message has a fork again."""
    federation, node, node_id, judge = one_node
    federation.expect(FAILED, TOLD)
    assert serves(judge, node_id) == 1
    warm(node)
    reply = judge.ask(node_id, "signal", signal=int(signal.SIGSEGV))
    assert reply["code"] == 8 and "SIGSEGV" in reply["reason"]
    assert serves(judge, node_id) == 2
    assert len(re.findall("started plainly", node.text())) == 1


def test_killed(one_node):
    """One line; no message is lost."""
    federation, node, node_id, judge = one_node
    federation.expect(r"zygote: killed by signal 9")
    assert serves(judge, node_id) == 1
    os.kill(warm(node), signal.SIGKILL)
    node.wait_log(r"WARN +\S+ zygote: killed by signal 9")
    assert serves(judge, node_id) == 2
    node.wait_log(READY + r"(?s:.*)" + READY)
    assert serves(judge, node_id) == 3


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_node_ends(federation, tmp_path, how):
    """Nothing is left of it, nor of a forked app at work."""
    node, judge, node_id = start(federation, options={"--grace": 0})
    federation.expect(FAILED, TOLD, "the grace of 0 s is over")
    assert serves(judge, node_id) == 1
    zygote = warm(node)
    _, pids = at_work(judge, node_id, tmp_path / "at-work")
    tree = tree_of(node.pid)
    assert zygote in tree and set(pids) <= set(tree)
    if how == signal.SIGKILL:
        node.kill()
    else:
        node.signal(how)
        assert node.wait(40) == 0
    federation.wait_gone(tree)


def test_node_killed_alone(one_node):
    """What waits for the next message was stopped, and does not see that: the reaper ends it."""
    federation, node, node_id, judge = one_node
    assert serves(judge, node_id) == 1
    zygote = warm(node)
    wait_until(lambda: any("--fork-server" in command_of(pid) for pid in tree_of(node.pid)), "the fork server")
    tree = tree_of(node.pid)
    assert zygote in tree
    for pid in tree[1:]:
        os.kill(pid, signal.SIGSTOP)
    node.kill()
    federation.wait_gone(tree)
    assert node.wait(10) == -signal.SIGKILL


def test_learns(one_node):
    """What the interpreter has and an app has imported is imported for the next one."""
    federation, node, node_id, judge = one_node
    assert serves(judge, node_id) == 1
    zygote = warm(node)
    assert "/_curses." not in maps_of(zygote)
    assert traces(judge, node_id)["forked"]
    node.wait_log(READY + r"(?s:.*)" + READY)
    assert "/_curses." in maps_of(zygote)
    assert traces(judge, node_id)["forked"]


def maps_of(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        return maps.read()


def test_not_needed_any_more(federation):
    node, judge, node_id = start(federation, options={"--warm-idle": 0.5})
    assert serves(judge, node_id) == 1
    zygote = int(node.wait_log(r"zygote: started pid=(\d+)").group(1))
    node.wait_log("zygote: no message for a while, not kept")
    federation.wait_gone([zygote])
    assert serves(judge, node_id) == 2


def test_none(federation):
    node, judge, node_id = start(federation, options={"--preload": "none"})
    assert [serves(judge, node_id) for _ in range(2)] == [1, 2]
    node.wait_log("spare worker")
    assert "zygote: started" not in node.text() and "fork of" not in node.text()


def test_preload(federation):
    """What is named is there before an app needs it; what cannot be imported is said."""
    modules = "no_such_module,curses.panel,wave"
    node, judge, node_id = start(federation, options={"--preload": modules})
    assert serves(judge, node_id) == 1
    zygote = warm(node)
    assert "/_curses_panel." in maps_of(zygote)
    node.wait_log("zygote err: --preload no_such_module: ModuleNotFoundError")
    found = traces(judge, node_id)
    assert found["forked"]
    # The app's folder has a module of this name.
    assert found["own module"]


def test_process_isolation(federation):
    """The launcher keeps it."""
    pair = Pair(federation)
    clientapp = pair.start_clientapp()
    assert serves(pair.judge, pair.id) == 1
    zygote = warm(clientapp)
    assert traces(pair.judge, pair.id)["forked"]
    clientapp.signal(signal.SIGTERM)
    assert clientapp.wait(30) == 0
    federation.wait_gone([zygote])


@pytest.fixture
def unfit(federation, tmp_path):
    """The environment of a node whose Python has a thread from its start, so that it cannot fork."""
    federation.expect("zygote: a thread runs in Python from its start")
    text = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    folder = tmp_path / "customized"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(text, encoding="ascii")
    return {"PYTHONPATH": str(folder)}


def spare_python(node, judge, node_id):
    """Messages until one waits for the next; its pid."""
    assert serves(judge, node_id) == 1
    node.wait_log("zygote: a thread runs in Python from its start")
    assert serves(judge, node_id) == 2
    return int(node.wait_log(r"spare Python: started pid=(\d+)").group(1))


def test_spare_python(federation, unfit):
    """Where none can be forked a Python that has imported already is there for the next message, once."""
    node, judge, node_id = start(federation, env=unfit)
    pid = spare_python(node, judge, node_id)
    first = traces(judge, node_id)
    node.wait_log(rf"spare Python pid={pid}: takes 3 app")
    node.wait_log("3 app: in a spare Python: there is no zygote any more")
    federation.wait_gone([pid])
    node.wait_log(r"takes 3 app(?s:.*)spare Python: started pid=(\d+)")
    second = traces(judge, node_id)
    node.wait_log(r"spare Python pid=\d+: takes 4 app")
    assert not first["forked"] and not second["forked"]
    assert first["seen"] == second["seen"]
    for name in first["own"]:
        assert first["own"][name] != second["own"][name], name


def test_spare_python_of_another_cage(federation, unfit):
    """It has the cage of the app that came last; another run's app has another one."""
    node, judge, node_id = start(federation, env=unfit, options={"--sandbox": "strict"})
    pid = spare_python(node, judge, node_id)
    other = federation.judge()
    assert serves(other, node_id) == 1
    node.wait_log("3 app: started plainly: .*; not in the spare Python: the app has another cage")
    federation.wait_gone([pid])
    assert serves(other, node_id) == 2
    node.wait_log("4 app: in a spare Python")


def test_spare_python_not_needed_any_more(federation, unfit):
    node, judge, node_id = start(federation, env=unfit, options={"--warm-idle": 2})
    federation.wait_gone([spare_python(node, judge, node_id)])
    assert serves(judge, node_id) == 3
