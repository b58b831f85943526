"""Workers of the newest release's messages that are started by somebody else than the SuperNode."""

import os
import signal
import stat
import tempfile
from pathlib import Path

import pytest
from judge import at_work, echoes, fails, serves, wait_known
from newest import newest_federation
from test_failures import FAILED
from test_foreign_worker import check_worker, command_of

from federation.processes import alive, free_ports, wait_until
from federation.release import find, known

pytestmark = pytest.mark.ours

TOLD = r"(WARN|ERROR)\s+(supernode: \d+|clientapp): (\d+: )?message "
ENDED = r"the worker's connection has ended"
AWAY = r"clientapp: the SuperNode at \S+ cannot be reached"
LAUNCHERS = {
    "flwr-clientapp": "--clientappio-api-address",
    "flower-superexec": "--runtime-api-address",
}


class Lab:
    """A SuperNode that starts nothing, and a run; launchers are the tests'."""

    def __init__(self, federation):
        self.federation = federation
        federation.start_superlink()
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        self.node = self.start_node()
        self.judge = federation.judge()
        (self.id,) = self.judge.nodes(1)

    def start_node(self):
        options = {"--isolation": "process", "--clientappio-api-address": self.address}
        return self.federation.start_node(options=options)

    def launcher(self, program="flwr-clientapp", **options):
        options = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
        usual = {"--clientappio-api-address": None, LAUNCHERS[program]: self.address}
        options = {**usual, **options}
        return self.federation.start_clientapp(self.address, options, program=program)

    def count(self):
        return serves(self.judge, self.id)


@pytest.fixture(scope="module")
def lab(request, tmp_path_factory):
    with newest_federation(request, tmp_path_factory.mktemp("isolation")) as federation:
        federation.expect(FAILED, TOLD, ENDED)
        yield Lab(federation)


@pytest.fixture(params=LAUNCHERS)
def launcher(request, lab):
    launcher = lab.launcher(request.param)
    yield launcher
    assert launcher.stop() == 0


def worker_at(launcher, start=0):
    """The pid of the worker that it has started last."""
    return int(launcher.wait_log(r"worker started: message=\d+ pid=(\d+)", 30, start).group(1))


def test_messages(lab, launcher):
    """State is kept, an app's error is an answer, contents are what they were."""
    before = lab.count()
    reply = lab.judge.ask(lab.id, "raise")
    assert (reply["code"], reply["reason"]) == (
        2,
        "<class 'ZeroDivisionError'>:<'division by zero'>",
    )
    echoes(lab.judge, lab.id)
    assert lab.count() == before + 1


def test_worker_killed(lab, launcher, tmp_path):
    """Its agent, the launcher that runs on, answers for it."""
    message, pids = at_work(lab.judge, lab.id, tmp_path / "at-work")
    os.kill(worker_at(launcher), signal.SIGKILL)
    reply = lab.judge.reply(message)
    assert reply["code"] == 8 and "SIGKILL" in reply["reason"]
    lab.federation.wait_gone(pids)
    assert lab.count()


def test_launcher_killed(lab, tmp_path):
    """Everything of it goes, the SuperNode answers at once, the next one is served."""
    launcher = lab.launcher()
    message, pids = at_work(lab.judge, lab.id, tmp_path / "at-work")
    pids.append(worker_at(launcher))
    launcher.kill()
    reply = lab.judge.reply(message)
    assert reply["code"] == 8 and "process has ended" in reply["reason"]
    lab.federation.wait_gone(pids)
    other = lab.launcher("flower-superexec")
    assert lab.count()
    assert other.stop() == 0


def test_launcher_stopped(lab, tmp_path):
    """At SIGTERM the message at work gets its grace, then an error reply; nothing is left."""
    launcher = lab.launcher("flower-superexec", grace=1)
    message, pids = at_work(lab.judge, lab.id, tmp_path / "at-work")
    launcher.signal(signal.SIGTERM)
    reply = lab.judge.reply(message)
    assert reply["code"] == 8 and "stopped" in reply["reason"]
    assert launcher.wait(10) == 0
    lab.federation.wait_gone(pids)


def test_node_restarted(lab):
    """The launcher waits for it, which it says once; the run goes on with another node."""
    lab.federation.expect(AWAY)
    launcher = lab.launcher()
    assert lab.count()
    lab.node.kill()
    launcher.wait_log(AWAY)
    before, lab.node = lab.id, lab.start_node()
    launcher.wait_log(r"the SuperNode at \S+ is there again")

    def another():
        found = lab.judge.nodes(2, 60)
        return [each for each in found if each != before]

    (lab.id,) = wait_until(another, "a new node")
    assert lab.count() == 1
    assert len(launcher.text().split("cannot be reached")) == 2
    assert launcher.stop() == 0


# ---- who may ask for messages ----

NO_SECRET = r"who asks for work must sign|takes no message requests of ours"


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    path = tmp_path_factory.mktemp("secret") / "secret"
    path.write_bytes(b"not\0a text\n")
    return path


class Guarded:
    """A node at a unix socket, or with a secret."""

    def __init__(self, lab, options):
        self.lab = lab
        options = {"--isolation": "process", **options}
        self.node = lab.federation.start_node(options=options)
        self.address = self.node.wait_log(r"worker API: address=(\S+)").group(1)
        self.id = lab.federation.wait_registered(self.node)

    def launcher(self, **options):
        return self.lab.federation.start_clientapp(self.address, options)


def test_shared_socket(lab):
    """Node and worker meet at a path; the log says who came; the socket goes with the node."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "worker-api"
        group = os.getgroups()[-1] if os.getgroups() else os.getgid()
        options = {"--clientappio-api-address": f"unix:{path}", "--socket-group": group}
        guarded = Guarded(lab, options)
        assert guarded.address == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660 and path.stat().st_gid == group
        launcher = guarded.launcher()
        assert serves(lab.judge, guarded.id)
        who = rf"worker came: from=pid {launcher.pid}, uid {os.getuid()} "
        worker = worker_at(launcher)
        assert guarded.node.find(who.replace(str(launcher.pid), rf"({launcher.pid}|{worker})"))
        assert launcher.stop() == 0
        guarded.node.kill()
        assert path.exists()
        again = Guarded(lab, options)
        assert again.node.stop() == 0
        assert not path.exists()


def test_secret(lab, secret):
    """Launchers that have it are served, others are refused and wait."""
    lab.federation.expect(NO_SECRET)
    guarded = Guarded(
        lab,
        {"--clientappio-api-address": "127.0.0.1:0", "--superexec-auth-secret-file": secret},
    )
    stranger = guarded.launcher()
    stranger.wait_log(r"WARN .*takes no message requests of ours .*--superexec-auth-secret-file")
    message = lab.judge.send(guarded.id, "count")
    launcher = guarded.launcher(**{"--superexec-auth-secret-file": secret})
    assert lab.judge.reply(message)["code"] == 0
    assert not stranger.find(r"worker started")
    assert stranger.stop() == 0 and launcher.stop() == 0
    assert guarded.node.stop() == 0


def children(pid):
    """Those that live: Flower's launcher does not wait for its workers."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    return [int(child) for child in text.split() if alive(int(child))]


ALL = os.environ.get("FLWR_TEST_ALL_RELEASES") == "1"
# Their launchers speak gRPC; HTTP/1.1; and ask for a task and its token in one.
USUAL = ("1.34", "1.41")
# test_official_workers.py has 1.39, without a secret.
SIGNING = (*USUAL, "1.39")
SANITIZED = os.environ.get("FLWR_SANITIZE") == "1"  # then what is about our programs alone


def releases(usual):
    found = [] if SANITIZED else [version for version in known() if int(version.split(".")[1]) >= 34]
    return [version for version in found if ALL or version.rpartition(".")[0] in usual]


FLOWERS = releases(USUAL)


@pytest.fixture(params=FLOWERS)
def flowers_release(request):
    try:
        return find(request.param)
    except LookupError as error:
        if ALL:
            raise
        pytest.skip(str(error))


class FlowersLauncher:
    """A launcher of a release of Flower's at a node that perhaps wants its calls signed."""

    def __init__(self, lab, release, secret=None):
        self.release = release
        self.federation = lab.federation
        self.judge = lab.judge
        options = {"--superexec-auth-secret-file": secret} if secret else {}
        self.guarded = Guarded(lab, {"--host": "127.0.0.1", "--port": free_ports(1)[0], **options})
        self.id = self.guarded.id

    def start(self, secret=None, workers=None):
        """workers: the folder whose flwr-clientapp it starts."""
        minor = self.release.minor
        argv = [self.release.bin / "flower-superexec", "--insecure"]
        argv += ["--plugin-type", "clientapp"] if minor <= 37 else []
        argv += ["--runtime-api-address" if minor >= 36 else "--appio-api-address"]
        argv += [self.guarded.address]
        argv += ["--superexec-auth-secret-file", secret] if secret else []
        name = self.federation.name(f"superexec-{self.release}")
        env = self.federation.environ(name)
        env["PATH"] = f"{workers or self.release.bin}:{self.release.bin}:{env['PATH']}"
        env["VIRTUAL_ENV"] = str(self.release.bin.parent)
        return self.federation.start(name, argv, env)


@pytest.fixture
def flowers(lab, flowers_release):
    # Python programs start slowly on a busy machine.
    lab.federation.expect("no worker has asked for a message", "SendTaskHeartbeat refused")
    launcher = FlowersLauncher(lab, flowers_release)
    yield launcher
    assert launcher.guarded.node.stop() == 0


def test_flowers_messages(flowers):
    """State is kept, an app's error is an answer, contents are what they were."""
    superexec = flowers.start()
    judge = flowers.judge
    assert serves(judge, flowers.id) == 1
    fails(judge, flowers.id)
    echoes(judge, flowers.id)
    assert serves(judge, flowers.id) == 2
    wait_until(lambda: not children(superexec.pid), "its worker has ended", 60)
    superexec.kill()


@pytest.mark.parametrize("flowers_release", FLOWERS[-1:], indirect=True)
def test_flowers_large(flowers):
    """100 MiB both ways."""
    superexec = flowers.start()
    echoes(flowers.judge, flowers.id, {"a": {"x": 100 << 20}}, 300)
    wait_until(lambda: not children(superexec.pid), "its worker has ended", 60)
    superexec.kill()


@pytest.mark.parametrize("flowers_release", releases(SIGNING), indirect=True)
def test_flowers_launcher(lab, flowers_release, secret):
    """One that does not sign gets nothing."""
    lab.federation.expect(NO_SECRET)
    flowers = FlowersLauncher(lab, flowers_release, secret)
    stranger = flowers.start()
    flowers.guarded.node.wait_log(r"(PullPendingTasks|AcquireTask) refused: UNAUTHENTICATED")
    stranger.kill()
    message = lab.judge.send(flowers.id, "count")
    superexec = flowers.start(secret)
    assert lab.judge.reply(message, 60)["code"] == 0
    wait_until(lambda: not children(superexec.pid), "its worker has ended", 60)
    superexec.kill()
    assert flowers.guarded.node.stop() == 0


def test_flowers_worker_killed(flowers, tmp_path):
    """Its launcher, which claimed the message, runs on: the node notices the worker's end itself."""
    superexec = flowers.start()
    message, pids = at_work(flowers.judge, flowers.id, tmp_path / "at-work")
    wait_known(flowers.guarded.node)
    os.kill(pids[0], signal.SIGKILL)
    reply = flowers.judge.reply(message)
    assert reply["code"] == 8 and "process has ended" in reply["reason"], reply
    assert alive(superexec.pid)
    for left in pids[1:]:  # by Flower's programs
        os.kill(left, signal.SIGKILL)
    wait_until(lambda: not children(superexec.pid), "its worker has ended", 60)
    superexec.kill()


def test_our_worker_of_flowers_launcher(lab, flowers_release, secret, tmp_path):
    """It serves messages, and answers and ends with all it has started when the launcher dies."""
    lab.federation.expect(FAILED, r"message \w+ failed: ")
    flowers = FlowersLauncher(lab, flowers_release, secret)
    superexec = flowers.start(secret, os.environ["FLWR_BIN_DIR"])
    assert serves(lab.judge, flowers.guarded.id) == 1
    message, pids = at_work(lab.judge, flowers.guarded.id, tmp_path / "at-work")
    superexec.kill()
    reply = lab.judge.reply(message)
    assert reply["code"] == 8 and reply["reason"] == "the worker was stopped", reply
    lab.federation.wait_gone(pids)
    assert flowers.guarded.node.stop() == 0


# ---- Flower's workers that our node starts ----


def start_for(lab, release, *token):
    """A node that starts that release's worker for each message, and its id."""
    options = {"--clientapp-command": command_of(release, *token)}
    if release.minor == 35:  # HTTP already, by the option that gRPC's had
        options["--clientappio-api-address"] = "127.0.0.1:0"
    node = lab.federation.start_node(options=options)
    return node, lab.federation.wait_registered(node)


@pytest.mark.parametrize("flowers_release", FLOWERS if ALL else FLOWERS[-1:], indirect=True)
def test_flowers_worker_of_our_node(lab, flowers_release, tmp_path):
    """A process for each message, which has its token in its command line."""
    node, node_id = start_for(lab, flowers_release)
    check_worker(lab.federation, node, node_id, lab.judge, tmp_path)
    assert node.stop() == 0


@pytest.mark.parametrize("flowers_release", FLOWERS if ALL else [], indirect=True)
def test_flowers_worker_with_a_token_file(lab, flowers_release):
    token = ("--token-file", "{token_file}", "--parent-pid", "{parent_pid}")
    node, node_id = start_for(lab, flowers_release, *token)
    assert serves(lab.judge, node_id) == 1
    assert node.stop() == 0
