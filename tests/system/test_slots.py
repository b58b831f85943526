"""Several messages at once: runs side by side, one run in order, what each worker may use."""

import json
import os
import re
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from judge import serves
from newest import newest_federation
from test_failures import FAILED
from test_zygote import warm

from federation.processes import all_pids, free_ports, wait_until

pytestmark = pytest.mark.ours

NO_EFFECT = "--worker-pids has no effect"  # as root without control groups
REFUSED = "processes or threads that it wanted were refused"
WORKERS = {"--max-workers": 2}
LIMITS = {
    "--worker-memory": "1G",
    "--worker-cpus": 1,
    "--worker-pids": 40,
    "--gpu-slots": "7,9",
}


class Lab:
    """A node with two slots, and two runs."""

    def __init__(self, federation):
        self.federation = federation
        federation.start_superlink()
        self.node = federation.start_node(options={**WORKERS, **LIMITS})
        self.judges = [federation.judge(), federation.judge()]
        (self.id,) = self.judges[0].nodes(1)

    @contextmanager
    def another_node(self, **options):
        """(node, its id)"""
        named = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
        node = self.federation.start_node(options={**WORKERS, **named})
        (id,) = set(self.judges[0].nodes(2)) - {self.id}
        yield node, id
        assert node.stop() == 0
        self.judges[0].nodes(1)


@pytest.fixture(scope="module")
def lab(request, tmp_path_factory):
    with newest_federation(request, tmp_path_factory.mktemp("slots")) as federation:
        federation.expect(FAILED, NO_EFFECT, REFUSED)
        yield Lab(federation)


@contextmanager
def working(judge, node, pipe, what="wait"):
    """A message whose app is at work until the end."""
    os.mkfifo(pipe)
    message = judge.send(node, what, pipe=str(pipe))
    with open(pipe, "w", encoding="utf-8") as word:  # returns when the app has opened it
        yield message
        word.write("go on")
    assert judge.reply(message)["code"] == 0


def known(reply):
    assert reply["code"] == 0, reply
    return json.loads(reply["configs"]["known"]["json"])


def test_slow_run_delays_no_other(lab, tmp_path):
    slow, fast = lab.judges
    with working(slow, lab.id, tmp_path / "slow"):
        for number in (1, 2, 3):
            assert serves(fast, lab.id) == number


def test_messages_of_a_run_in_order(lab):
    """Each gets the Context that the one before it has left."""
    judge = lab.federation.judge()
    sent = [judge.send(lab.id, "count") for _ in range(4)]
    replies = [judge.reply(message) for message in sent]
    assert [reply["metrics"]["counter"]["n"] for reply in replies] == [1, 2, 3, 4]


def test_parallel_in_run(lab, tmp_path):
    """One that came later overtakes, and both are told of once."""
    judge = lab.judges[0]
    with lab.another_node(parallel_in_run=True) as (node, id):
        for number in (1, 2):
            with working(judge, id, tmp_path / f"slow-{number}"):
                serves(judge, id)
        said = re.findall(
            r"run \d+: several of its messages are at work at once \(--parallel-in-run\)",
            node.text(),
        )
        assert len(said) == 1


def test_launcher(lab, tmp_path):
    """In process isolation one launcher works on both."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    with lab.another_node(isolation="process", clientappio_api_address=address) as (_, id):
        launcher = lab.federation.start_clientapp(address, WORKERS)
        with working(lab.judges[0], id, tmp_path / "slow"):
            assert serves(lab.judges[1], id) > 0
        assert launcher.stop() == 0


def test_too_much_memory(lab):
    """The app ends, or is told by Python: the reply says which; the next one is served."""
    judge = lab.judges[0]
    reply = judge.ask(lab.id, "need", number=3 << 30)
    if "bytes of memory by control group" in lab.node.text():
        assert reply["code"] == 8 and "(--worker-memory)" in reply["reason"], reply
    else:
        assert reply["code"] == 2 and "MemoryError" in reply["reason"], reply
    assert judge.ask(lab.id, "need", number=1 << 20)["code"] == 0


def test_too_many_processes(lab):
    if "processes and threads by control group" not in lab.node.text():
        pytest.skip("there are no control groups (v2) with a pids controller for this program")
    reply = lab.judges[0].ask(lab.id, "multiply", number=200)
    assert reply["code"] == 0, reply
    assert 0 < reply["metrics"]["children"]["n"] < 40
    lab.node.wait_log(REFUSED)


# A user of this test alone: RLIMIT_NPROC counts all that a user runs.
USER = 40000 + os.getpid() % 10000
WITHOUT_GROUPS = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/fs/cgroup && exec "$0" "$@"']


def processes_of(user):
    found = []
    for pid in all_pids():
        with suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
            found += [pid] if f"\nUid:\t{user}\t" in status else []
    return found


@pytest.fixture
def without_groups(lab, monkeypatch):
    """Programs that start now find no control groups. (Who may not mount, in a container, has none.)"""
    start = lab.federation.start
    may = subprocess.run([*WITHOUT_GROUPS, "true"], capture_output=True, check=False).returncode == 0

    def start_without(name, argv, env, cwd=None):
        return start(name, [*WITHOUT_GROUPS, *argv] if may else argv, env, cwd)

    monkeypatch.setattr(lab.federation, "start", start_without)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give apps another user")
def test_too_many_processes_of_a_user(lab, without_groups, reachable):
    """The limit of the app's user tells Python, and the reply says so; nothing of it is left, and the
    next message is served."""
    judge = lab.judges[0]
    options = {"app_user": f"{USER}:{USER}", "flwr_dir": reachable / "home", "preload": "none"}
    with lab.another_node(worker_pids=40, **options) as (node, id):
        assert node.find("40 processes and threads by RLIMIT_NPROC")
        reply = judge.ask(id, "multiply", number=200)
        assert 0 < reply["metrics"]["children"]["n"] < 40, reply
        reply = judge.ask(id, "bomb", stays=False)
        assert reply["code"] == 2 and "BlockingIOError" in reply["reason"], reply
        wait_until(lambda: not processes_of(USER), "nothing of the app is left", 30)
        assert serves(judge, id) == 1


def test_gpus(lab, tmp_path):
    """Two at work have one each; each is given back."""
    assert lab.node.find(r"each worker has a GPU slot of its own \(\w+\): 7 9$")
    first, second = lab.judges
    for number in range(2):
        with working(first, lab.id, tmp_path / f"pipe-{number}", "gpu") as message:
            other = known(second.ask(lab.id, "gpu"))
        assert {known(first.reply(message)), other} == {"7", "9"}


def test_forks(lab, tmp_path):
    """Both are forked from one Python, each with its GPU."""
    first, second = lab.judges
    with lab.another_node(max_workers=2, gpu_slots="7,9") as (node, id):
        serves(first, id)
        warm(node)
        with working(first, id, tmp_path / "pipe", "gpu") as message:
            other = known(second.ask(id, "gpu"))
        assert {known(first.reply(message)), other} == {"7", "9"}
        assert len(re.findall(r"fork of the zygote pid=\d+: takes", node.text())) == 2


def test_forks_have_limits(lab):
    judge = lab.judges[0]
    with lab.another_node(worker_memory="1G", worker_pids=40) as (node, id):
        serves(judge, id)
        warm(node)
        reply = judge.ask(id, "need", number=3 << 30)
        assert re.search(r"fork of the zygote pid=\d+: takes", node.text())
        if "bytes of memory by control group" in node.text():
            assert reply["code"] == 8 and "(--worker-memory)" in reply["reason"], reply
        else:
            assert reply["code"] == 2 and "MemoryError" in reply["reason"], reply
        if "processes and threads by control group" in node.text():
            warm(node)
            reply = judge.ask(id, "multiply", number=200)
            assert 0 < reply["metrics"]["children"]["n"] < 40, reply


def test_chosen_cpus_have_no_fork(lab):
    """Libraries have counted the CPUs when they were imported."""
    serves(lab.judges[0], lab.id)
    if "CPUs by control group" not in lab.node.text():
        assert "started plainly: its CPUs are chosen" in lab.node.text()
        assert "zygote: started" not in lab.node.text()
