"""TLS of the worker API: our SuperNode's and Flower's, with workers of both."""

import contextlib
import os
import resource
import signal
import socket
import ssl
import time

import pytest
from federation.credentials import Certificates
from federation.processes import free_ports, wait_until
from judge import serves
from newest import NEWEST, federation_of

from federation.release import known

pytestmark = pytest.mark.ours

FAILED = r"message failed: "
ENDED = r"the worker's connection has ended"
WAITS = r"no worker has asked for a message .* flwr-clientapp --root-certificates FILE"
GRPC_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
ALL = os.environ.get("FLWR_TEST_ALL_RELEASES") == "1"
# Of Flower's releases with TLS of the worker API: over gRPC; over HTTP, beside a SuperLink that speaks
# gRPC or HTTP.
USUAL = ("1.34.0", "1.39.0", NEWEST)
RELEASES = [each for each in known() if int(each.split(".")[1]) >= 30 and (ALL or each in USUAL)]


class Lab:
    """A SuperNode with TLS at its worker API, and a run; workers are the tests'."""

    def __init__(self, federation, programs="ours", **options):
        self.federation = federation
        self.certificates = Certificates(federation.folder / "worker-tls")
        federation.start_superlink()
        (self.port,) = free_ports(1)
        self.address = f"127.0.0.1:{self.port}"
        usual = {"--isolation": "process"}
        if programs == "ours":
            usual["--clientappio-api-address"] = self.address
        else:
            usual |= federation.release.supernode_ports(self.port)
        older = programs == "python" and federation.release.minor < 37
        usual |= self.files("--appio-ssl" if older else "--ssl")
        self.options = usual | {f"--{name.replace('_', '-')}": v for name, v in options.items()}
        self.node = federation.start_node(options=self.options, programs=programs)
        self.judge = federation.judge()
        (self.id,) = self.judge.nodes(1)

    def files(self, prefix):
        return {
            f"{prefix}-ca-certfile": self.certificates.authority,
            f"{prefix}-certfile": self.certificates.certificate,
            f"{prefix}-keyfile": self.certificates.key,
        }

    def worker(self, programs="ours", program="flwr-clientapp", **more):
        options = {"--insecure": None, "--root-certificates": self.certificates.authority}
        if program == "flower-superexec":
            minor = 99 if programs == "ours" else self.federation.release.minor
            name = "--runtime-api-address" if minor >= 36 else "--appio-api-address"
            options |= {"--clientappio-api-address": None, name: self.address}
            options["--plugin-type"] = "clientapp" if minor <= 37 else None
        options |= {f"--{name.replace('_', '-')}": value for name, value in more.items()}
        return self.federation.start_clientapp(self.address, options, programs, program)

    def serves(self):
        return serves(self.judge, self.id)

    def context(self, *protocols):
        context = ssl.create_default_context(cafile=str(self.certificates.authority))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    def connect(self, context=None):
        """A connection of the test's, through the handshake."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        # What follows the handshake does not wait for its acknowledgement.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return (context or self.context()).wrap_socket(plain, server_hostname="127.0.0.1")


@pytest.fixture(scope="module")
def lab(request, tmp_path_factory):
    with federation_of(request, tmp_path_factory.mktemp("worker-tls"), NEWEST) as federation:
        federation.expect(FAILED, ENDED, WAITS)
        yield Lab(federation)


@contextlib.contextmanager
def worker_of(lab, **options):
    worker = lab.worker(**options)
    yield worker
    assert worker.stop() == 0


def closed(connection, seconds=30):
    """It is ended by the node; what came before."""
    connection.settimeout(seconds)
    got = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while piece := connection.recv(65536):
            got += piece
    return got


# ---- workers ----


@pytest.mark.parametrize("program", ["flwr-clientapp", "flower-superexec"])
def test_our_worker(lab, program):
    with worker_of(lab, program=program):
        before = lab.serves()
        message = lab.judge.send(lab.id, "echo", arrays={"a": {"x": 7 << 20}})
        assert lab.judge.reply(message)["code"] == 0
        assert lab.serves() == before + 1


@pytest.mark.parametrize("version", RELEASES)
def test_flowers_worker(request, tmp_path, version):
    with federation_of(request, tmp_path, version) as federation:
        federation.expect(ENDED, WAITS)
        lab = Lab(federation)
        launcher = lab.worker("python", "flower-superexec")
        assert lab.serves() == 1
        message = lab.judge.send(lab.id, "echo", arrays={"a": {"x": 7 << 20}})
        assert lab.judge.reply(message)["code"] == 0
        launcher.stop()
        if ALL or version == "1.34.0":
            is_started(lab)


def is_started(lab):
    """Flower's worker, a process for each message, is told of TLS: to 1.35 by our node itself."""
    command = str(lab.federation.bin / "flwr-clientapp")
    if lab.federation.release.minor >= 36:
        command += f" --root-certificates {lab.certificates.authority}"
        command += " --runtime-api-address {address} --token {token}"
    options = {"--isolation": None, "--clientapp-command": command}
    options["--clientappio-api-address"] = f"127.0.0.1:{free_ports(1)[0]}"
    lab.federation.start_node(options={**lab.options, **options})
    (added,) = set(lab.judge.nodes(2)) - {lab.id}
    assert serves(lab.judge, added) == 1


@pytest.mark.parametrize("version", RELEASES)
def test_our_worker_at_flowers_node(request, tmp_path, version):
    with federation_of(request, tmp_path, version) as federation:
        lab = Lab(federation, "python")
        with worker_of(lab):
            assert lab.serves() == 1


def test_workers_that_the_node_starts(request, tmp_path):
    """They are told by their control socket; nothing is in their command lines."""
    with federation_of(request, tmp_path, NEWEST) as federation:
        lab = Lab(
            federation,
            isolation="subprocess",
            ssl_require_client_certificate=True,
        )
        assert lab.serves() == 1


def test_workers_that_do_not_trust_the_node(lab, tmp_path):
    lab.federation.expect(r"cannot be reached", r"may not trust the certificate")
    other = Certificates(tmp_path / "other")
    start = lab.node.size()
    worker = lab.worker(root_certificates=other.authority)
    worker.wait_log(r"the SuperNode at \S+ cannot be reached")
    lab.node.wait_log(r"WARN .*ends in the TLS handshake: it may not trust the certificate", 30, start)
    assert worker.stop() == 0


# ---- client certificates ----


def test_client_certificates(request, tmp_path):
    with federation_of(request, tmp_path, NEWEST) as federation:
        federation.expect(
            FAILED, ENDED, WAITS, r"cannot be reached", r"shows no certificate", r"does not vouch for"
        )
        lab = Lab(federation, ssl_require_client_certificate=True)
        other = Certificates(tmp_path / "other")
        for shows, says in (
            ({}, "shows no certificate in its TLS handshake"),
            (
                {"client_certificate": other.certificate, "client_key": other.key},
                "--ssl-ca-certfile does not vouch for",
            ),
        ):
            # One line in ten seconds is written about peers.
            start = lab.node.size()
            worker = lab.worker(**shows)
            worker.wait_log(r"the SuperNode at \S+ cannot be reached")
            lab.node.wait_log(f"WARN .*{says}", 40, start)
            assert worker.stop() == 0
        own = {
            "client_certificate": lab.certificates.certificate,
            "client_key": lab.certificates.key,
        }
        with worker_of(lab, **own):
            assert lab.serves() == 1


# ---- certificates that are read again ----


def test_reload(request, tmp_path):
    """New connections get the new certificate; a launcher's call that waits goes on."""
    with federation_of(request, tmp_path, NEWEST) as federation:
        federation.expect(r"were not read again, and stay", WAITS)
        lab = Lab(federation)
        with worker_of(lab) as worker:
            assert lab.serves() == 1
            with lab.connect() as first:
                before = first.getpeercert(binary_form=True)
            kept = lab.connect()
            lab.certificates.renew()
            lab.node.signal(signal.SIGHUP)
            lab.node.wait_log(r"INFO .*its certificates were read again")
            with lab.connect() as second:
                after = second.getpeercert(binary_form=True)
            assert after != before
            lab.certificates.key.write_text("broken", encoding="utf-8")
            lab.node.signal(signal.SIGHUP)
            lab.node.wait_log(r"ERROR .*were not read again, and stay: the key in \S+server\.key")
            with lab.connect() as third:
                assert third.getpeercert(binary_form=True) == after
            # Those that were there are there.
            kept.sendall(GRPC_PREFACE + SETTINGS)
            assert kept.recv(9)[3:4] == b"\4"
            kept.close()
            assert lab.serves() == 2
            assert not worker.find(r"cannot be reached")


# ---- strangers ----


def test_protocols_are_chosen(lab):
    for offers, chosen in ((["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"), ([], None)):
        with lab.connect(lab.context(*offers)) as connection:
            assert connection.selected_alpn_protocol() == chosen
            assert connection.version() == "TLSv1.3"
    old = lab.context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with lab.connect(old) as connection:
        assert connection.version() == "TLSv1.2"


@pytest.mark.parametrize("says", [GRPC_PREFACE, b"POST /v1/runtime/acquire-task HTTP/1.1\r\n\r\n"])
def test_no_tls(lab, says):
    lab.federation.expect(r"without TLS", r"more like it")
    with socket.create_connection(("127.0.0.1", lab.port)) as plain:
        plain.sendall(says)
        assert closed(plain) == b""


def test_no_tls_is_said(request, tmp_path):
    """One clear line, in both directions."""
    with federation_of(request, tmp_path, NEWEST) as federation:
        federation.expect(r"without TLS, which", r"speaks TLS, which", r"cannot be reached")
        lab = Lab(federation)
        with socket.create_connection(("127.0.0.1", lab.port)) as plain:
            plain.sendall(GRPC_PREFACE)
            assert closed(plain) == b""
        lab.node.wait_log(r'WARN .*says "PRI \* HTTP/2\.0.*without TLS, which this worker API')
        options = {"--isolation": "process", "--clientappio-api-address": "127.0.0.1:0"}
        other = federation.start_node(options=options)
        port = int(other.wait_log(r"worker API: address=127.0.0.1:(\d+)").group(1))
        with socket.create_connection(("127.0.0.1", port)) as plain:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                lab.context().wrap_socket(plain, server_hostname="127.0.0.1")
        other.wait_log(r"WARN .*speaks TLS, which this worker API is without")


def test_garbage_in_the_handshake(lab):
    lab.federation.expect(r"breaks the rules of TLS", r"more like it")
    with socket.create_connection(("127.0.0.1", lab.port)) as plain:
        plain.sendall(b"\x16\x03\x01\0\x20" + b"garbage " * 4)
        closed(plain)
    with worker_of(lab):
        lab.serves()


def test_garbage_after_the_handshake(lab):
    lab.federation.expect(r"which is not gRPC", r"breaks the rules of TLS", r"more like it")
    with lab.connect() as connection:
        connection.sendall(b"\0\1\2\3 garbage of no protocol")
        assert closed(connection) == b""
    with worker_of(lab):
        lab.serves()


def hello(context):
    """What a client's handshake begins with."""
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="127.0.0.1").do_handshake()
    return out.read()


def test_handshakes_that_do_not_end(lab):
    """Two hundred of them: a worker is served meanwhile, and they are cut in time."""
    lab.federation.expect(r"said nothing", r"more like it", r"too many handshakes")
    begin = hello(lab.context())
    stuck = []
    for number in range(200):
        one = socket.create_connection(("127.0.0.1", lab.port))
        one.sendall(begin if number % 2 else begin[:50])
        stuck.append(one)
    with worker_of(lab):
        began = time.monotonic()
        lab.serves()
        print(f"served within {time.monotonic() - began:.1f} s")
    for one in stuck:
        closed(one, 30)
        one.close()
    wait_until(lambda: lab.node.running(), "the node runs")


@pytest.fixture
def roomy_lab(request, tmp_path):
    """A SuperNode of the test's own, which may have as many descriptors as the system allows."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    try:
        with federation_of(request, tmp_path, NEWEST) as federation:
            federation.expect(WAITS)
            yield Lab(federation)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def idle_http2(lab, context, _):
    """It has begun, and asks for nothing."""
    connection = lab.connect(context)
    connection.sendall(GRPC_PREFACE + SETTINGS)
    assert connection.recv(9)[3:4] == b"\4"
    return connection


def idle_http(lab, context, number):
    """It was served once, or is in the middle of a head."""
    connection = lab.connect(context)
    if number % 2:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    else:
        connection.sendall(b"POST /v1/runtime/acquire")
    return connection


def is_open(connection):
    """What has come is read."""
    connection.settimeout(0)
    try:
        while connection.recv(65536):
            pass
    except ssl.SSLWantReadError:
        return True
    return False


@pytest.mark.parametrize("protocol, idle", [("h2", idle_http2), ("http/1.1", idle_http)])
def test_idle_connections(roomy_lab, protocol, idle):
    """A thousand keep nobody from work, and no line is written about them."""
    lab, context = roomy_lab, roomy_lab.context(protocol)
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(idle(lab, context, number)) for number in range(1000)]
        with worker_of(lab):
            assert lab.serves() == 1
        assert len(os.listdir(f"/proc/{lab.node.pid}/fd")) > 1000
        assert all(is_open(each) for each in many)
        assert not lab.node.find("worker API: .*closed")


@pytest.mark.parametrize("option", ["ssl-require-client-certificate"])
def test_open_address(request, tmp_path, option):
    """What anybody there can do is said once, with TLS too, unless they must show who they are."""
    with federation_of(request, tmp_path, NEWEST) as federation:
        federation.expect(r"is open to other machines")
        federation.start_superlink()
        made = Certificates(tmp_path / "tls")
        options = {
            "--isolation": "process",
            "--clientappio-api-address": "0.0.0.0:0",
            "--ssl-certfile": made.certificate,
            "--ssl-keyfile": made.key,
            "--ssl-ca-certfile": made.authority,
        }
        said = r"WARN .*is open to other machines: whoever reaches it can take messages"
        node = federation.start_node(options=options)
        assert node.find(said)
        assert node.stop() == 0
        assert node.text().count("is open to other machines") == 1
        node = federation.start_node(options={**options, f"--{option}": True})
        assert node.stop() == 0
        assert "is open to other machines" not in node.text()
