"""Our worker and launcher at the SuperNodes of Flower's releases, which nobody has told them."""

import os
import signal

import pytest
from federation.processes import free_ports
from judge import app_killed, at_work, echoes, fails, serves
from test_releases import ALL, check, run, use
from tested import binaries

from federation import release

pytestmark = pytest.mark.ours

USUAL = ("1.15", "1.26", "1.34", "1.39", "1.41")
VERSIONS = [each for each in release.known() if ALL or each.rpartition(".")[0] in USUAL]


def minor(version):
    return int(version.split(".")[1])


# The judge's app has no names for what Flower 1.16 - 1.20 call theirs.
JUDGED = [each for each in VERSIONS if minor(each) not in range(16, 21)]
SIGNED = [each for each in JUDGED if minor(each) >= 29]
FAILED = r"clientapp: (\d+: )?message \S+ failed: "
# Flower's SuperNodes to 1.23 do not say when they are there.
AWAY = r"clientapp: the SuperNode at \S+ cannot be reached"
# Flower's launchers, in whose place ours is.
LAUNCHERS = ("flwr-clientapp", "flower-superexec")


class Pair:
    """A SuperNode of this release that starts nothing, and what is needed to start launchers."""

    def __init__(self, federation, **options):
        self.federation = federation
        port = free_ports(1)[0]
        self.address = f"127.0.0.1:{port}"
        self.options = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
        self.options |= {"--isolation": "process", **federation.release.supernode_ports(port)}

    def start_node(self, wait=True):
        self.node = self.federation.start_node(
            "name='x'", self.options, programs="python", wait=wait
        )
        return self

    def launcher(self, program="flwr-clientapp", **options):
        options = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
        self.federation.expect(AWAY)
        if program == "flower-superexec":
            options |= {"--clientappio-api-address": None, "--runtime-api-address": self.address}
        return self.federation.start_clientapp(self.address, options, program=program)


def meet(federation, program, **options):
    """(pair, its launcher, judge, node's id) with a run of the judge."""
    federation.start_superlink()
    pair = Pair(federation, **options).start_node()
    secret = options.get("superexec_auth_secret_file")
    more = {"superexec_auth_secret_file": secret} if secret else {}
    launcher = pair.launcher(program, **more)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    return pair, launcher, judge, node_id


@pytest.mark.parametrize("version", VERSIONS if ALL else [])
def test_run(federation, tmp_path, version, record_property):
    """A run on two nodes, one of which has each of the two names of our launcher."""
    use(federation, version, record_property)
    federation.expect(FAILED)
    federation.start_superlink()
    for program in LAUNCHERS:
        pair = Pair(federation)
        partition = len(federation.nodes)
        federation.start_node(
            f"partition-id={partition} num-partitions=2", pair.options, programs="python"
        )
        pair.launcher(program)
    check(federation, run(federation, tmp_path / "result"))


@pytest.mark.parametrize(
    "version, program",
    [
        (version, program)
        for number, version in enumerate(JUDGED)
        for program in (LAUNCHERS if ALL else LAUNCHERS[number % 2 :][:1])
    ],
)
def test_messages(federation, tmp_path, version, program, record_property):
    """Message after message: state is kept, an app's error and its death are answers."""
    use(federation, version, record_property)
    federation.expect(FAILED)
    _, launcher, judge, node_id = meet(federation, program)
    assert [serves(judge, node_id) for _ in range(2)] == [1, 2]
    fails(judge, node_id)
    app_killed(federation, judge, node_id, tmp_path / "at-work")
    assert serves(judge, node_id) == 3
    assert launcher.stop() == 0


LARGE = (15, 26, 41) if ALL else ()


@pytest.mark.parametrize("version", [each for each in JUDGED if minor(each) in LARGE])
def test_large(federation, version, record_property):
    use(federation, version, record_property)
    _, _, judge, node_id = meet(federation, "flower-superexec")
    echoes(judge, node_id, {"a": {"x": 30 << 20, "y": 7}, "b": {}})


@pytest.mark.parametrize("version", SIGNED)
def test_secret(federation, tmp_path, version, record_property):
    """Launchers that have it are served, others say what is missing and wait."""
    use(federation, version, record_property)
    federation.expect(r"takes no message requests of ours")
    secret = tmp_path / "secret"
    secret.write_bytes(b"what only these know" * 2)
    pair, launcher, judge, node_id = meet(
        federation, "flower-superexec", superexec_auth_secret_file=secret
    )
    assert serves(judge, node_id) == 1
    assert launcher.stop() == 0
    stranger = pair.launcher("flower-superexec")
    stranger.wait_log(r"WARN .*takes no message requests of ours .*--superexec-auth-secret-file")
    assert stranger.stop() == 0


@pytest.mark.skipif(not ALL, reason="takes a minute, in which a token expires")
@pytest.mark.parametrize("version", [each for each in JUDGED if minor(each) >= 41])
def test_worker_killed(federation, tmp_path, version, record_property):
    """A message is handed out once, so the launcher cannot answer: the SuperNode does, in the end.
    That of 1.26 tries to, and fails."""
    use(federation, version, record_property)
    _, launcher, judge, node_id = meet(federation, "flwr-clientapp")
    message, pids = at_work(judge, node_id, tmp_path / "at-work")
    os.kill(int(launcher.wait_log(r"worker started: message=\d+ pid=(\d+)").group(1)), signal.SIGKILL)
    federation.wait_gone(pids)
    reply = judge.reply(message, 180)
    assert reply["code"] == 8, reply
    assert serves(judge, node_id) == 1
    assert launcher.stop() == 0


@pytest.mark.skipif(not ALL, reason="test_worker_tls.py has it")
@pytest.mark.parametrize("version", [each for each in JUDGED if minor(each) >= 30])
def test_tls(federation, version, record_property):
    """Over gRPC and, from 1.35 on, over HTTP; the SuperLink has TLS, too."""
    use(federation, version, record_property)
    federation.secure()
    federation.start_superlink()
    made = federation.certificates
    flag = "ssl" if minor(version) >= 37 else "appio_ssl"
    options = {f"{flag}_ca_certfile": made.authority, f"{flag}_certfile": made.certificate}
    pair = Pair(federation, **options, **{f"{flag}_keyfile": made.key}).start_node()
    launcher = pair.launcher("flower-superexec", insecure=None, root_certificates=made.authority)
    judge = federation.judge()
    (node_id,) = judge.nodes(1)
    assert serves(judge, node_id) == 1
    assert launcher.stop() == 0


@pytest.mark.parametrize("version", VERSIONS if ALL else ["1.41"])
def test_subprocess(federation, tmp_path, version, record_property):
    """Flower's SuperNodes start what they find on PATH, with the arguments of their release."""
    use(federation, version, record_property)
    if minor(version) <= 18:
        pytest.skip("SuperNodes to 1.18 start a part of themselves")
    federation.start_superlink()
    port = free_ports(1)[0]
    path = f"{binaries()}:{federation.bin}:{os.environ['PATH']}"
    for partition in (0, 1):
        federation.start_node(
            f"partition-id={partition} num-partitions=2",
            federation.release.supernode_ports(port + partition),
            env={"PATH": path},
            programs="python",
        )
    got = run(federation, tmp_path / "result")
    check(federation, got)
    assert all("clientapp: " in node.text() for node in federation.nodes)  # ours


@pytest.mark.skipif(not ALL, reason="takes minutes")
def test_exchanged(federation, record_property):
    """A SuperNode of another release takes the place of one: the launcher goes on."""
    versions = ("1.41", "1.34", "1.26", "1.39")
    use(federation, versions[0], record_property)
    port = free_ports(1)[0]
    federation.expect(AWAY, r"clientapp: the SuperNode at \S+ hands out no messages")
    launcher = federation.start_clientapp(f"127.0.0.1:{port}")
    launcher.wait_log(AWAY)
    for version in versions:
        use(federation, version, record_property)
        federation.start_superlink()
        options = {"--isolation": "process", **federation.release.supernode_ports(port)}
        node = federation.start_node("name='x'", options, programs="python", wait=False)
        federation.wait_registered(node, seconds=60)
        judge = federation.judge()
        ids = judge.nodes(1)
        assert serves(judge, ids[0]) == 1
        judge.close()
        federation.judges.remove(judge)
        federation.nodes.remove(node)
        node.kill()
        federation.superlink.stop()
    assert launcher.stop() == 0
