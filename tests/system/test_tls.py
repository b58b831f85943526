"""TLS with real SuperLinks: what is trusted, and what is said when something is not right."""

import socket
import ssl
import threading

import pytest
from federation.credentials import Certificates
from federation.processes import free_ports
from kit.relay import Relay
from secured import RELEASES, lab_of, per_test, serves, trouble, waited_out

pytestmark = pytest.mark.ours


@pytest.fixture(scope="module", params=RELEASES)
def running(request, tmp_path_factory):
    lab = lab_of(request.param, tmp_path_factory.mktemp("tls"))
    lab.secure()
    lab.start_superlink()
    yield lab
    assert not lab.end()


@pytest.fixture
def lab(request, running):
    request.node.failed = False
    yield from per_test(request, running)


@pytest.fixture
def stranger():
    """Something at a port of its own that says these bytes to everyone, with TLS or without."""
    listeners = []

    def open_door(says, context=None):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve():
            while True:
                try:
                    guest, _ = listener.accept()
                except OSError:
                    return
                try:
                    if context:
                        guest = context.wrap_socket(guest, server_side=True)
                    guest.recv(65536)
                    guest.sendall(says)
                    guest.shutdown(socket.SHUT_WR)
                    while guest.recv(65536):  # closed with bytes unread, it would be reset
                        pass
                except OSError:
                    pass
                guest.close()

        threading.Thread(target=serve, daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield open_door
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_root_certificates(lab):
    """A run, all of it by TLS."""
    node = lab.start_node()
    serves(lab, "root-certificates")
    assert not trouble(node)


def test_certificates_of_the_system(lab):
    """Neither --root-certificates nor --insecure: those that the system trusts."""
    options = {"--root-certificates": None}
    node = lab.start_node(options=options, env={"SSL_CERT_FILE": str(lab.certificates.authority)})
    assert not trouble(node)
    waited_out(lab, "signed by nobody who is trusted here", "--root-certificates", options=options)


def test_name_mismatch(lab):
    relay = Relay(lab.fleet, "127.0.0.2")
    try:
        address = f"127.0.0.2:{relay.port}"
        line = waited_out(lab, address, "other names", "localhost, 127.0.0.1", superlink=address)
        assert "use one of them with --superlink" in line
    finally:
        relay.close()


def test_unknown_authority(lab, tmp_path):
    other = Certificates(tmp_path / "other")
    waited_out(
        lab,
        f"the TLS certificate of {lab.address} is signed by nobody who is trusted here",
        "--root-certificates",
        options={"--root-certificates": other.authority},
    )


def test_insecure_against_tls(lab):
    options = {"--root-certificates": None, "--insecure": True}
    waited_out(lab, f"{lab.address} answers with TLS: leave out --insecure", options=options)


def test_another_port_of_the_superlink(lab):
    """To 1.39 it has other APIs at other ports, of which that of 1.15 for ServerApps has no TLS."""
    if lab.release.minor >= 40:
        pytest.skip("this SuperLink has one port")
    _, _, control = lab.release.superlink_ports(lab.fleet, lab.control, lab.appio)
    address = f"127.0.0.1:{control}"
    waited_out(lab, f"{address} is no SuperLink", "Fleet API", superlink=address)


def test_waits_for_it(lab):
    """Nobody there is no wrong configuration: one line, and the node registers when it comes."""
    (port,) = free_ports(1)
    node = lab.start_node(superlink=f"127.0.0.1:{port}", wait=False)
    node.wait_log(r"WARN .*connecting failed: ")
    relay = Relay(lab.fleet, port=port)
    try:
        lab.wait_registered(node)
        (line,) = trouble(node)
        assert f"127.0.0.1:{port}" in line and "refuses connections: does the SuperLink run" in line
        assert node.find(r"INFO .*answers now")
    finally:
        node.stop()
        relay.close()


def test_something_else_there(tmp_path, stranger):
    """Said once, whatever it is; not tried again."""
    lab = lab_of(RELEASES[0], tmp_path / "lab")
    lab.certificates = Certificates(lab.folder / "tls")
    plain = {"--root-certificates": None, "--insecure": True}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(lab.certificates.certificate, lab.certificates.key)
    greeting = b"SSH-2.0-OpenSSH_9.2\r\n"
    page = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    for options, tls in ((plain, None), ({}, context)):
        for says in (greeting, page):
            address = stranger(says, tls)
            line = waited_out(lab, f"{address} is no SuperLink", options=options, superlink=address)
            assert ("SSH-2.0" in line) == (says == greeting)
    address = stranger(greeting)
    waited_out(lab, f"{address} is no SuperLink", superlink=address)


@pytest.mark.parametrize("version", RELEASES)
def test_servers_that_are_wrong(version, tmp_path):
    """Its certificate has expired; it has none at all; then it is right."""
    with lab_of(version, tmp_path / "lab") as lab:
        lab.certificates = right = Certificates(lab.folder / "right")
        lab.certificates = Certificates(lab.folder / "expired", hours=-1)
        lab.start_superlink()
        waited_out(lab, f"the TLS certificate of {lab.address} has expired: have it renewed")
        lab.superlink.stop()
        lab.certificates = None
        lab.start_superlink()
        options = {"--insecure": None, "--root-certificates": right.authority}
        line = waited_out(lab, f"{lab.address} does not speak TLS: use --insecure", options=options)
        assert "if that is intended" in line
