"""A CA, certificates of it with one fault each, and another CA, as PEM files in a directory. By openssl."""

import datetime
import os
import subprocess

CONFIG = """
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical, CA:TRUE
[leaf]
subjectAltName = {names}
[ca]
default_ca = it
[it]
database = {directory}/index
serial = {directory}/serial
new_certs_dir = {directory}
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


def run(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


def config(directory, names):
    path = os.path.join(directory, "config")
    with open(path, "w") as file:
        file.write(CONFIG.format(directory=directory, names=names))
    return path


def new_key(directory, name, subject, *more):
    run("req", "-config", config(directory, "DNS:none"), "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-keyout", f"{directory}/{name}.key", "-subj", f"/CN={subject}", *more)


def new_ca(directory, name):
    # The same name: the signature tells the two apart.
    new_key(directory, name, "test CA", "-x509", "-extensions", "root", "-days", "2", "-out", f"{directory}/{name}.pem")


def new_leaf(directory, name, names, begin, end):
    new_key(directory, name, "leaf", "-out", f"{directory}/{name}.csr")
    run("ca", "-batch", "-notext", "-config", config(directory, names), "-extensions", "leaf", "-cert",
        f"{directory}/ca.pem", "-keyfile", f"{directory}/ca.key", "-in", f"{directory}/{name}.csr", "-out",
        f"{directory}/{name}.pem", "-startdate", begin.strftime("%Y%m%d%H%M%SZ"), "-enddate",
        end.strftime("%Y%m%d%H%M%SZ"))


def make(directory):
    open(os.path.join(directory, "index"), "w").close()
    with open(os.path.join(directory, "serial"), "w") as file:
        file.write("01\n")
    new_ca(directory, "ca")
    new_ca(directory, "other")
    here = "DNS:localhost, IP:127.0.0.1"
    new_leaf(directory, "good", here, NOW - DAY, NOW + DAY)
    new_leaf(directory, "name", "DNS:link.example, DNS:*.far.example, IP:10.1.2.3", NOW - DAY, NOW + DAY)
    new_leaf(directory, "expired", here, NOW - 2 * DAY, NOW - DAY)
    new_leaf(directory, "future", here, NOW + DAY, NOW + 2 * DAY)
