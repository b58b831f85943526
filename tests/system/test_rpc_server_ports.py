"""The server of common/rpc: where it listens, what it knows of a call, how it ends; grpcio's client
is the other end."""

import threading

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from federation.http2 import END_STREAM, Connection, Frame, data, headers, message
from rpc_peer import Peer, fails, path, program, serve, server, unary  # noqa: F401

from federation.credentials import certificate

# ---- ports ----


class Authority:
    """Signs certificates; paths of PEM files in a folder."""

    def __init__(self, folder, name="test root"):
        self.folder, self.name = folder, name
        folder.mkdir(exist_ok=True)
        self.signing = ec.generate_private_key(ec.SECP256R1())
        self.root = certificate(name, name, self.signing.public_key(), self.signing, True)
        self.path = folder / "root.pem"
        self.path.write_bytes(self.root)

    def sign(self, subject):
        """(certificate, key) as PEM, and the paths of the two files."""
        key = ec.generate_private_key(ec.SECP256R1())
        chain = certificate(subject, self.name, key.public_key(), self.signing, False)
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
        private = key.private_bytes(*form, serialization.NoEncryption())
        paths = [self.folder / f"{subject}.{end}" for end in ("pem", "key")]
        for each, text in zip(paths, (chain, private), strict=True):
            each.write_bytes(text)
        return chain, private, *paths


def context(channel, **options):
    """What Context says of the call: its lines by name, where a name may repeat."""
    said = {}
    for line in unary(channel, "Context", **options).decode().splitlines():
        name, _, value = line.partition("=")
        said.setdefault(name, []).append(value)
    return said


def test_several_ports(serve, tmp_path):
    """Plain TCP twice, IPv6, a socket file, an abstract one; all at once, and none twice."""
    sockets = [f"unix:{tmp_path}/socket", f"unix-abstract:rpc-{tmp_path}"]
    addresses = ["127.0.0.1:0", "127.0.0.1:0", "[::1]:0", *sockets]
    server = serve(*(f"port={each}" for each in addresses), ports=5)
    targets = [f"127.0.0.1:{port}" for port in server.ports[:2]]
    targets += [f"[::1]:{server.ports[2]}", *sockets]
    assert len(set(server.ports[:3])) == 3
    peers = [context(server.channel(target))["peer"][0] for target in targets]
    assert [peer.split(":")[0] for peer in peers[:4]] == ["ipv4", "ipv4", "ipv6", "unix"]
    with Peer(program("rpc-server"), f"port={targets[0]}") as second:
        second.expect("^error EADDRNOTAVAIL$")
        assert second.end() == 1
    with Peer(program("rpc-server"), "port=127.0.0.1:0", "port=no.such.host:x") as bad:
        bad.expect("^error EADDRNOTAVAIL$")
        assert bad.end() == 1


def test_tls(serve, tmp_path):
    """A plain port beside one with TLS: each takes its own kind of caller."""
    ours = Authority(tmp_path / "ours")
    _, _, chain, key = ours.sign("localhost")
    settings = [f"chain={chain}", f"key={key}", "port=127.0.0.1:0", "tls_port=127.0.0.1:0"]
    server = serve(*settings, ports=2)
    secure = f"localhost:{server.ports[1]}"
    credentials = grpc.ssl_channel_credentials(ours.root)
    said = context(server.channel(secure, credentials))
    assert said["auth.transport_security_type"] == ["ssl"]
    assert said["identity_key"] == [""]
    assert unary(server.channel(), "Echo", b"plain") == b"plain"
    other = grpc.ssl_channel_credentials(Authority(tmp_path / "other").root)
    for channel in (server.channel(secure, other), server.channel(secure)):
        fails(lambda: unary(channel, "Echo"), grpc.StatusCode.UNAVAILABLE)  # noqa: B023
    assert unary(server.channel(secure, credentials), "Echo", b"tls") == b"tls"


def test_tls_that_cannot_be(tmp_path):
    ours = Authority(tmp_path)
    _, _, chain, key = ours.sign("localhost")
    port = "tls_port=127.0.0.1:0"
    wrong = [[port], [port, f"chain={chain}"], [port, f"chain={key}", f"key={chain}"]]
    # A client's certificate that nothing vouches for.
    wrong += [[port, f"chain={chain}", f"key={key}", f"client={asked}"] for asked in (1, 2, 3)]
    wrong += [["port=127.0.0.1:0", "compression=3"]]
    for settings in wrong:
        with Peer(program("rpc-server"), *settings) as server:
            server.expect("^error EINVAL$")
            assert server.end() == 1


@pytest.mark.parametrize("required", [False, True])
def test_client_certificates(serve, tmp_path, required):
    """Asked for or required; one of another authority is never taken."""
    ours, other = Authority(tmp_path / "ours"), Authority(tmp_path / "other")
    _, _, chain, key = ours.sign("localhost")
    tls = [f"chain={chain}", f"key={key}", f"trusted={ours.path}", f"client={2 if required else 1}"]
    server = serve(*tls, "tls_port=127.0.0.1:0")

    def caller(*pair):
        credentials = grpc.ssl_channel_credentials(ours.root, *reversed(pair))
        return server.channel(f"localhost:{server.ports[0]}", credentials)

    said = context(caller(*ours.sign("worker-7")[:2]))
    assert said["auth.x509_common_name"] == ["worker-7"]
    (name,) = said["identity_key"]
    assert "localhost" in said[f"auth.{name}"]
    fails(lambda: unary(caller(*other.sign("worker-7")[:2]), "Echo"), grpc.StatusCode.UNAVAILABLE)
    if required:
        fails(lambda: unary(caller(), "Echo"), grpc.StatusCode.UNAVAILABLE)
    else:
        assert context(caller())["identity_key"] == [""]


# ---- the context of a call ----


def test_context(server):
    """Headers both ways, bytes too; path, caller and deadline."""
    channel = server.channel()
    sent = [("x-text", "some text"), ("x-raw-bin", b"\0\xff"), ("x-twice", "1"), ("x-twice", "2")]
    call = channel.unary_unary(path("Context"))
    answer, done = call.with_call(b"", timeout=30, metadata=sent)
    said = answer.decode().splitlines()
    for key, value in sent:
        value = value if isinstance(value, bytes) else value.encode()
        assert f"{key}={value.hex()}" in said
    left = next(int(line[5:]) for line in said if line.startswith("left="))
    assert 20000 < left <= 30000
    assert "path=/test.Rpc/Context" in said
    assert "identity_key=" in said
    assert ("x-initial", "first") in done.initial_metadata()
    assert ("x-raw-bin", b"\0\xff") in done.initial_metadata()
    assert ("x-trailing", "last") in done.trailing_metadata()
    assert b"left=never" in call(b"").splitlines()


def test_head_before_the_answer(server):
    call = server.channel().unary_stream(path("Head"))(b"", timeout=60)
    assert ("x-initial", "early") in call.initial_metadata()
    server.expect("^waiting$")
    server.tell("finish")
    assert list(call) == [b"finished"]


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code.value[0]])
def test_status(server, code):
    """Every status, with details and trailing headers, without a message and with one."""
    channel = server.channel()
    words = "not so: \u00e4 100 %"
    body = f"abort {code.value[0]} {words}".encode()
    error = fails(lambda: unary(channel, "Status", body), code, words)
    assert ("x-trailing", "why") in error.trailing_metadata()
    call = channel.unary_stream(path("Status"))(f"reply {code.value[0]} {words}".encode())
    assert next(call) == b"with a message"
    fails(lambda: next(call), code, words)
    for _ in range(2):  # the abort and the reply, as interceptors hear of them
        server.expect(f"/test.Rpc/Status: ({code.name}|UNKNOWN): not so: ")
    fails(lambda: unary(channel, "Status", f"null {code.value[0]}".encode()), code, "")


@pytest.mark.parametrize("number", [1, 3])
def test_trailers_while_the_request_comes(server, number):
    """A refusal that does not wait for the body, or for the rest of it, has its trailing headers."""
    go_on = threading.Event()

    def bodies():
        if number > 1:
            yield bytes(8 << 20)
        go_on.wait(30)

    channel = server.channel()
    call = channel.stream_unary(path("Unwanted"))
    refused = (grpc.StatusCode.PERMISSION_DENIED, "not wanted")
    error = fails(lambda: call(bodies(), timeout=30), *refused)
    go_on.set()
    assert ("x-trailing", "why") in error.trailing_metadata()
    error = fails(lambda: unary(channel, "Unwanted", bytes(8 << 20)), *refused)
    assert ("x-trailing", "why") in error.trailing_metadata()
    assert unary(channel, "Echo", b"next") == b"next"
    with Connection(f"127.0.0.1:{server.ports[0]}") as caller:
        # It is over for a caller that says nothing more, too.
        caller.send(headers(1, path("Unwanted")) + data(1, message(b"half", length=100)))
        assert caller.wait_status(1)[0] == grpc.StatusCode.PERMISSION_DENIED.value[0]
        server.tell("metrics")
        server.expect("^at work 0$")
        server.stop(60000)


def test_deadline(server):
    """When it has passed the handler hears that nobody waits for its answer."""
    wait = server.channel().unary_unary(path("Wait"))
    fails(lambda: wait(b"", timeout=0.5), grpc.StatusCode.DEADLINE_EXCEEDED)
    server.expect("^waiting$")
    server.expect("^cancelled$")


# ---- the end of a server ----


def test_stop_with_grace(server):
    """The call at work finishes; new ones are refused meanwhile.

    A call that crosses the stop on its way is CANCELLED. So it is by grpcio's own server.
    """
    channel = server.channel()
    kept = channel.unary_unary(path("Wait")).future(b"", timeout=60)
    server.expect("^waiting$")
    server.tell("stop 60000")
    refused = server.channel().unary_unary(path("Echo"))
    while True:  # until the stop has begun
        try:
            refused(b"", timeout=30)
        except grpc.RpcError as error:
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            break
    server.tell("finish")
    assert kept.result() == b"finished"
    server.expect("^stopped$")
    assert server.end() == 0


def test_grace_that_runs_out(server):
    channel = server.channel()
    kept = channel.unary_unary(path("Wait")).future(b"", timeout=60)
    stream = channel.stream_stream(path("Chat"))(iter(lambda: b"again", None), timeout=60)
    server.expect("^waiting$")
    assert next(stream) == b"again"
    server.tell("stop 100")
    server.expect("^cancelled$")
    server.expect("^stopped$")
    assert server.end() == 0
    assert kept.code() != grpc.StatusCode.OK
    with pytest.raises(grpc.RpcError):
        list(stream)


@pytest.mark.parametrize("graces", [(600000, 100), (100, 600000)])
def test_second_stop(server, graces):
    """As with grpcio's server the shorter grace counts."""
    kept = server.channel().unary_unary(path("Wait")).future(b"", timeout=60)
    server.expect("^waiting$")
    for grace in graces:
        server.tell(f"stop {grace}")
    server.expect("^cancelled$")
    server.expect("^stopped$")
    assert server.end() == 0
    assert kept.code() != grpc.StatusCode.OK


def test_grace_that_runs_out_while_a_message_is_stuck(server):
    with Connection(f"127.0.0.1:{server.ports[0]}") as caller:
        caller.send(headers(1, path("Flood")) + data(1, message(b""), END_STREAM))
        caller.wait(lambda: caller.count(Frame.DATA) > 0, "data")
        server.tell("stop 100")
        server.expect(r"^gone after \d+$")
        server.expect("^stopped$")
        assert server.end() == 0


@pytest.mark.parametrize("timeout_ms", [-1, 60000])
def test_wait_for_the_end(serve, timeout_ms):
    server = serve("port=127.0.0.1:0", f"wait={timeout_ms}")
    assert unary(server.channel(), "Echo", b"meanwhile") == b"meanwhile"
    server.tell("stop 60000")
    server.expect("^stopped$")
    server.expect("^waited: 1$")
    assert server.end() == 0


def test_stop_without_calls(server):
    channel = server.channel()
    assert unary(channel, "Echo", b"x") == b"x"
    server.stop(60000)


def test_keepalive(serve):
    """A peer that does not answer pings is given up, with its call."""
    server = serve("port=127.0.0.1:0", "keepalive=1000")
    with Connection(f"127.0.0.1:{server.ports[0]}") as caller:
        caller.shake_hands()
        caller.send(headers(1, path("Slow")))
        server.expect("^slow begun$")
        caller.wait_end()
        assert caller.count(Frame.PING)
    server.expect("^slow gone$")
