"""Certificates and keys for a federation on loopback."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NO_PASSWORD = serialization.NoEncryption()


def certificate(subject, issuer, public_key, signing_key, authority, hours=24):
    """Valid for so many hours from now on; below 0: it has expired that long ago."""

    def name(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(
        name(issuer),
        name(subject),
        public_key,
        x509.random_serial_number(),
        now - datetime.timedelta(hours=48),
        now + datetime.timedelta(hours=hours),
    ).add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    if not authority:
        hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        hosts += [x509.DNSName("superlink.invalid")]  # which only a proxy can find
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    return builder.sign(signing_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Certificates:
    """An authority and a server's certificate by it: paths of PEM files in a folder. The server's
    is valid for so many hours from now on."""

    def __init__(self, folder, hours=24):
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = folder / "ca.pem"
        self.certificate = folder / "server.pem"
        self.key = folder / "server.key"
        self.signing = signing = ec.generate_private_key(ec.SECP256R1())
        root = certificate("test root", "test root", signing.public_key(), signing, True)
        self.authority.write_bytes(root)
        self.renew(hours)

    def renew(self, hours=24):
        """Another certificate and key of the server, in the place of those before."""
        key = ec.generate_private_key(ec.SECP256R1())
        own = certificate("localhost", "test root", key.public_key(), self.signing, False, hours)
        self.certificate.write_bytes(own)
        form = serialization.PrivateFormat.PKCS8
        self.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, NO_PASSWORD))


class NodeKey:
    """A SuperNode's key as ssh-keygen writes it, or in another form: the paths of its two files,
    and the public part."""

    def __init__(self, path, curve=ec.SECP384R1, form=serialization.PrivateFormat.OpenSSH):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.private, self.public = path, path.with_suffix(".pub")
        key = ec.generate_private_key(curve())
        self.private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, NO_PASSWORD))
        self.private.chmod(0o600)
        form = serialization.PublicFormat.OpenSSH
        self.line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, form).decode()
        self.public.write_text(self.line + "\n", encoding="utf-8")
