"""Wrong command lines: one line that names the option and says what to do, status 2, no start."""

import json
import os
import re
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from tested import AS_ROOT

from federation import release

pytestmark = pytest.mark.ours

# In the rows: PLACE is a folder with the files of the fixture place, TAKEN an address in use.
# Each row: arguments; what the line must have in it.

ADDRESSES = [
    ("", "has no port"),
    ("127.0.0.1", "has no port"),
    ("example.org", "host:port"),
    ("[::1]", "has no port"),
    ("::1:9092", "in brackets"),
    ("127.0.0.1:", "the port must be a number"),
    ("127.0.0.1:99999", "65535"),
    ("127.0.0.1:65536", "65535"),
    ("127.0.0.1:-1", "65535"),
    ("127.0.0.1:18446744073709551617", "65535"),
    ("127.0.0.1:port", "the port must be a number"),
    ("127.0.0.1:9092/path", "the port must be a number"),
    ("grpc://127.0.0.1:9092/path", "the port must be a number"),
    ("grpc://127.0.0.1", "has no port"),
    ("dns:///127.0.0.1:9092", "without a scheme"),
    ("ipv4:127.0.0.1:9092", "without a scheme"),
    (":9092", "has no valid host"),
    ("user@127.0.0.1:9092", "has no valid host"),
    ("127.0.0.1, 127.0.0.2:9092", "has no valid host"),
    ("256.0.0.1:9092", "has no valid host"),
    ("a..b:9092", "has no valid host"),
    ("[node]:9092", "no IPv6 address"),
    ("\x1b[31m:9092", r"\x1b[31m"),
    ("a\nb:9092", r"a\x0ab"),
    ("\udcff:9092", r"\xff"),
    ("x" * 5000, "has no port"),
]
NODE_CONFIGS = [
    # no value
    ("partition-id", '"partition-id" has no value: write key=value'),
    ("partition-id 0", '"partition-id" has no value'),
    ("a=1 b=", '"b" has no value'),
    ("a= 1", '"a" has no value: put it right behind'),
    ("=1", "value has no key"),
    # bad quoting
    ("name=alice", "strings need quotes that the shell leaves there, as in 'name=\"alice\"'"),
    ("name='alice", '"name" has a value whose closing quote is missing'),
    ('a=1 name="alice bob', '"name" has a value whose closing quote is missing'),
    ('name="alice"bob', "put a space between pairs"),
    ('path="C:\\data"', "backslash"),
    ("name='a\nb'", "control character"),
    ("name='\udcff'", "not UTF-8"),
    # unknown types
    ("on=True", "write true or false"),
    ("a=None", "no bool, integer, float or string"),
    ("a=[1,2]", "no bool, integer, float or string"),
    ("a={}", "no bool, integer, float or string"),
    ("a=2024-01-01", "no bool, integer, float or string"),
    ("a=1,b=2", "no bool, integer, float or string"),
    ("a=99999999999999999999", "64 bits"),
    ("a=007", "no 0 in front"),
    # keys, and pairs that contradict each other
    ("a..b=1", '"a..b" is not one: a key is made of'),
    ("#a=1", '"#a" is not one'),
    ("a=1 b=2 a=3", '"a" is given twice'),
    ("a=1 b=2 a.c=3", '"a.c" contradicts one before it'),
    # files
    ("not-there.toml", '"not-there.toml" cannot be read: No such file'),
    ("PLACE/folder.toml", 'folder.toml" cannot be read: Is a directory'),
    ("PLACE/good.toml/below.toml", 'below.toml" cannot be read: Not a directory'),
    ("PLACE/loop.toml", 'loop.toml" cannot be read: Too many levels'),
    ("PLACE/locked.toml", 'locked.toml" cannot be read: Permission denied'),
    ("PLACE/pipe.toml", 'pipe.toml" is no regular file'),
    ("PLACE/large.toml", 'large.toml" is larger than'),
    ("PLACE/broken.toml", 'broken.toml": line 2:'),
    ("PLACE/array.toml", "the value of a is an array"),
    ("PLACE/strange.toml", "is an array"),
    ("node.json", "path of a .toml file"),
    ("name=node.toml", "a string needs quotes"),
    ("a\nb.toml", r'"a\x0ab.toml"'),
    ("x" * 5000 + ".toml", "File name too long"),
]
NUMBERS = {
    "--max-retries": ["-1", "", "many", "3x", "1.5", "2147483648", "99999999999999999999"],
    "--max-wait-time": ["-1", "", "soon", "5s", "1,5", "nan", "inf", "1e300"],
    "--poll-min": ["-1", "0", "often", "86401"],
    "--poll-max": ["-1", "0", "seldom", "86401"],
    "--grace": ["-1", "long", "86401"],
    "--worker-timeout": ["-1", "0", "never", "1e12"],
    "--worker-reconnect": ["-1", "never", "86401"],
    "--clientapp-wait": ["-1", "0", "never", "1e12"],
    "--spool-max": ["-1", "-1G", "0", "1023K", "much", "5MB", "1.5G"],
    "--memory-budget": ["-1", "-1G", "0", "1023K", "much", "5MB", "1.5G"],
    "--grpc-max-message-length": ["-1", "0", "536870911", "2G", "all", "99999999999999999999"],
}
ELSEWHERE = ["--superlink", "127.0.0.1:1"]
SUPERNODE = [
    (["--insecure", "--nonsense"], "unknown option --nonsense"),
    (["--insecure", "--superlnk", "127.0.0.1:9092"], "did you mean --superlink?"),
    (["--insecure", "-superlink", "127.0.0.1:9092"], "did you mean --superlink?"),
    (["--insecure", "--super", "127.0.0.1:9092"], "it could be --superlink, --superexec-auth-secret-file"),
    (["--insecure", "--s", "127.0.0.1:9092"], "it could be --superlink, --socket-group"),
    (["--insecure", "--poll", "1"], "it could be --poll-min, --poll-max"),
    (["--insecure", "-\udcff"], r"unknown option -\xff"),
    (["--insecure=yes"], "option --insecure takes no value"),
    (["--insecure", "extra"], '"extra" belongs to no option'),
    (["--insecure", ""], '"" belongs to no option'),
    (["--insecure", "--", "--help"], '"--help" belongs to no option'),
    (["--insecure", "--node-config", "a=1", "b=2"], '"b=2" belongs to no option'),
    (["--insecure", "--superlink"], "option --superlink needs a value: --superlink HOST:PORT"),
    (["--superlink", "--insecure"], "option --superlink needs a value"),
    (["--insecure", "--node-config"], "option --node-config needs a value"),
    (["--insecure", "--isolation", "none"], "option --isolation"),
    (["--insecure", "--isolation", "Process"], "subprocess"),
    (["--insecure", "--log-level", "loud"], "error, warn, info or debug"),
    (["--insecure", "--log-level", ""], "option --log-level"),
    # what Flower's program has, or had
    (["--insecure", "--server", "127.0.0.1:9092"], "--superlink"),
    (["--root-certificates", "ca.pem"], "--root-certificates ca.pem cannot be read: No such"),
    (["--root-certificates", "PLACE"], "--root-certificates PLACE is no file"),
    (["--root-certificates", "PLACE/pipe.toml"], "PLACE/pipe.toml is no file"),
    (["--auth-supernode-private-key", "key"], "key cannot be read", "(Exit Code: 302, "),
    (["--auth-supernode-public-key", "PLACE/good.toml"], "private-key", "(Exit Code: 301, "),
    (["--trusted-entities", "PLACE/locked.toml"], "cannot be read: Perm", "(Exit Code: 304, "),
    (["--insecure", "--superlink", "https://h:1/"], "--insecure turns off: leave one out"),
    (["--superlink", "http://h"], "--superlink address", "has no port", "(Exit Code: 600, "),
    (["--superlink", "https://http://h:1"], "without a scheme: write h:1", "Code: 600"),
    (["--insecure", "--state-dir", "PLACE/locked"], "--state-dir PLACE/locked cannot be"),
    (["--insecure", "--health-server-address", ":1"], "--health-server-address", "Code: 600"),
    (["--insecure", "--host", "a b"], "--host", "no valid host", "(Exit Code: 600, "),
    (["--insecure", "--port", "65536"], "--port", "between 0 and 65535"),
    (["--insecure", "--healt-server-adress", ":1"], "did you mean --health-server-address?"),
    # contradictions
    (["--insecure", "--root-certificates", "ca.pem"], "--root-certificates is for TLS"),
    (["--insecure", "--grpc-rere", "--rest"], "--rest"),
    (
        ["--insecure", "--auth-supernode-private-key", "PLACE/good.toml"],
        "--insecure",
        "(Exit Code: 303, ",
    ),
    (
        ["--insecure", "--clientappio-api-address", "127.0.0.1:1", "--port", "2"],
        "says something else",
    ),
    (["--insecure", "--poll-min", "5", "--poll-max", "1"], "--poll-max 5 or more"),
    (["--insecure", "--poll-min", "60"], "--poll-max 60 or more"),
    (["--insecure", "--clientapp-wait", "5"], "--clientapp-wait is for --isolation process"),
    (["--insecure", "--worker-reconnect", "5"], "--worker-reconnect is for --isolation process"),
    (["--insecure", "--isolation", "process", "--python", "python3"], "--python has no effect"),
    (
        ["--insecure", "--isolation", "process", "--stderr-in-replies"],
        "--stderr-in-replies has no effect",
    ),
    # a port in use
    (["--insecure", *ELSEWHERE, "--clientappio-api-address", "TAKEN"], "cannot listen at TAKEN"),
    (
        ["--insecure", *ELSEWHERE, "--isolation", "process", "--clientappio-api-address", "TAKEN"],
        "give another port, or port 0",
    ),
    # files
    (["--insecure", "--python", "/nonexistent/python3"], "--python: /nonexistent/python3"),
    (["--insecure", "--python", "not-there-python3"], "--python: not-there-python3"),
    (["--insecure", "--python", "PLACE"], "--python: PLACE"),
    (["--insecure", "--python", "PLACE/good.toml"], "--python: PLACE/good.toml"),
    (["--insecure", "--python", "PLACE/loop.toml"], "--python: PLACE/loop.toml"),
    (["--insecure", "--flwr-dir", ""], "--flwr-dir needs the path of a directory"),
    (["--insecure", "--flwr-dir", "PLACE/good.toml"], "PLACE/good.toml cannot be written to: Not a directory"),
    (["--insecure", "--flwr-dir", "PLACE/good.toml/below"], "Not a directory"),
    (["--insecure", "--flwr-dir", "PLACE/loop.toml"], "PLACE/loop.toml cannot be written to: Too many levels"),
    (["--insecure", "--flwr-dir", "PLACE/locked"], "PLACE/locked cannot be written to: Permission denied"),
    (["--insecure", "--flwr-dir", "PLACE/locked/below"], "Permission denied"),
]
SUPERNODE += [
    (["--insecure", option, address], f"{option} address ", says)
    for option in ("--superlink", "--clientappio-api-address")
    for address, says in ADDRESSES
]
SUPERNODE += [(["--insecure", "--superlink", "unix:/run/node.sock"], "without a scheme")]
SUPERNODE += [
    (["--insecure", option, "https://127.0.0.1:1"], f"{option} address ", "leave out https://")
    for option in ("--clientappio-api-address", "--health-server-address")
]
SUPERNODE += [(["--insecure", "--superlink", "127.0.0.1:0"], "--superlink", "from 1 to 65535")]
SUPERNODE += [
    (["--insecure", "--node-config", config], "--node-config: ", says)
    for config, says in NODE_CONFIGS
]
SUPERNODE += [
    (["--insecure", option, number], f"option {option}: {json.dumps(number)} must be ")
    for option, numbers in NUMBERS.items()
    for number in numbers
]
SUPERNODE += [
    (["--insecure", "--flwr-dir", "x" * 100], "with a path of at most"),
    (
        ["--insecure", "--flwr-dir", "PLACE/good.toml", "--clientappio-api-address", "127.0.0.1:0"],
        "--flwr-dir",
    ),
    (["--insecure", "--flwr-dir", "PLACE/good.toml"], "--flwr-dir"),
    (["--insecure", "--python", "a\nb"], "--python"),
    (["--insecure", "--python", ""], "--python needs"),
    (
        ["--insecure", "--superlink", "127.0.0.1:1", "--clientappio-api-address", "127.0.0.1:1"],
        "--superlink and --clientappio-api-address",
    ),
    (["--insecure", "--clientapp-wait", "5"], "--clientapp-wait is for --isolation process"),
    (["--insecure", "--worker-reconnect", "5"], "--worker-reconnect is for --isolation process"),
    (["--insecure", "--clientapp-command", ""], "--clientapp-command: it names no program"),
    (["--insecure", "--clientapp-command", "/nonexistent/x"], "--clientapp-command: /nonexistent/x"),
    (["--insecure", "--clientapp-command", "sh 'x"], "quotes are not closed"),
    (["--insecure", "--clientapp-command", "sh {tokn}"], "{tokn} is no placeholder"),
    (["--insecure", "--clientapp-command", "sh $(date)"], "--clientapp-command: it has a command"),
    (["--insecure", "--clientapp-command", "sh; date"], "--clientapp-command: it has one of"),
    (["--insecure", "--clientapp-command", "sh $NOT_SET"], "names a variable that is not set"),
    (["--insecure", "--clientapp-command", "sh", "--python", "sh"], "--python has no effect"),
    (["--insecure", "--clientapp-command", "sh", "--native-app", "a/b=c"], "--native-app has no"),
    (["--insecure", "--clientapp-command", "sh", "--allow-native", "a/b"], "--allow-native has no"),
    (["--insecure", "--clientapp-command", "sh", "--sandbox", "node"], "--sandbox has no effect"),
    (["--insecure", "--isolation", "process", "--sandbox", "off"], "give it to flwr-clientapp"),
    (["--insecure", "--sandbox", "tight"], "--sandbox"),
    (["--insecure", "--data-dir", "/"], "--data-dir has no effect without --sandbox strict"),
    (["--insecure", "--sandbox", "strict", "--data-dir", "/none:rw"], "--data-dir /none: No such"),
    (["--insecure", "--native-app", "b=c.so"], "must be PUBLISHER/NAME"),
    (["--insecure", "--native-app", "/nonexistent"], "neither PUBLISHER/NAME=FILE.so nor a directory"),
    (
        ["--insecure", "--isolation", "process", "--clientapp-command", "sh"],
        "--clientapp-command is for --isolation subprocess",
    ),
]
SUPERNODE += [
    (["--insecure", "--host", "h", f"--{option}", "FILE"], "give all three, or none", "Code: 605")
    for prefix in ("", "appio-")
    for option in [f"{prefix}ssl-{name}" for name in ("certfile", "keyfile", "ca-certfile")]
]
TLS = ["--insecure", "--ssl-certfile", "PLACE/good.toml", "--ssl-keyfile", "PLACE/good.toml"]
SUPERNODE += [
    (
        [*TLS, "--port", "0", "--ssl-ca-certfile", "PLACE/good.toml"],
        "TLS of the worker API: the certificate in PLACE/good.toml cannot be used",
        "(Exit Code: 605, ",
    ),
    ([*TLS, "--port", "0", "--ssl-ca-certfile", "PLACE"], "is no file", "(Exit Code: 604, "),
    (
        [*TLS, "--clientappio-api-address", "unix:/s", "--ssl-ca-certfile", "PLACE/good.toml"],
        "nobody can read along",
    ),
]
ALLOW = "--allow-runtime-dependency-installation"
DEPENDENCIES = [
    (["--insecure", "--dependency-index", "none"], "--dependency-index has no effect without"),
    (["--insecure", "--dependency-timeout", "9"], "--dependency-timeout has no effect without"),
    (["--insecure", ALLOW, "--dependency-index", "/nonexistent"], "--dependency-index /nonexistent"),
    (["--insecure", ALLOW, "--dependency-timeout", "0"], "--dependency-timeout"),
]
SUPERNODE += DEPENDENCIES
SECRET = [
    ("/nonexistent/secret", "--superexec-auth-secret-file: /nonexistent/secret cannot be read"),
    ("/dev/null", "--superexec-auth-secret-file: /dev/null is empty"),
]
SUPERNODE += [
    (["--insecure", "--isolation", "process", "--superexec-auth-secret-file", file], says)
    for file, says in SECRET
]
SUPERNODE += [
    (["--insecure", "--clientappio-api-address", "unix:"], "unix: is followed by a path"),
    (["--insecure", "--clientappio-api-address", "unix:/nonexistent/x"], "unix:/nonexistent/x"),
    (["--insecure", "--socket-group", "users"], "--socket-group is for"),
    (
        ["--insecure", "--clientappio-api-address", "unix:/tmp/x", "--socket-group", "no group"],
        "there is no group no group",
    ),
]
SUPERNODE += [(["--insecure", "--memory-budget", "8388608T"], "--memory-budget", "is too large")]
CLIENTAPP = [
    (["--insecure", "--token", "1", "--superexec-auth-secret-file", "FILE"], "leave one out"),
    (["--insecure", "--token", "1", "--nonsense"], "unknown option --nonsense"),
    (["--insecure", "--tokn", "1"], "did you mean --token?"),
    (["--insecure", "-token", "1"], "did you mean --token?"),
    (["--insecure=yes"], "option --insecure takes no value"),
    (["--insecure", "--token", "1", "extra"], '"extra" belongs to no option'),
    (["--insecure", "--token", "1", "--", "--help"], '"--help" belongs to no option'),
    (["--insecure", "--token"], "option --token needs a value"),
    (["--token", "--insecure"], "option --token needs a value"),
    (["--insecure", "--token", "1", "--log-level", "loud"], "error, warn, info or debug"),
    (["--insecure", "--supernode", "127.0.0.1:9094"], "--clientappio-api-address"),
]
CLIENTAPP += [
    (["--insecure", "--token", token], "--token takes the decimal number")
    for token in ("", "-1", "twelve", "1x", "1.5", "0x1", " 1", "18446744073709551616", "9" * 5000)
]
CLIENTAPP += [
    (
        ["--insecure", "--token", "1", "--clientappio-api-address", address],
        "--clientappio-api-address address ",
        says,
    )
    for address, says in [
        *ADDRESSES,
        ("127.0.0.1:0", "from 1 to 65535"),
    ]
]
CLIENTAPP += [
    (["--insecure", "--token", "1", *more], *says)
    for more, *says in [
        (["--token-file", "FILE"], "--token and --token-file"),
        (["--grace", "5"], "--grace and --token"),
        (["--python", "/nonexistent/python3"], "--python: /nonexistent/python3"),
        (["--python", "PLACE"], "--python"),
        (["--flwr-dir", ""], "--flwr-dir needs the path of a directory"),
        (["--flwr-dir", "PLACE/good.toml"], "--flwr-dir", "Not a directory"),
        (["--flwr-dir", "PLACE/locked"], "--flwr-dir", "Permission denied"),
        (["--clientappio-api-address", "unix:"], "--clientappio-api-address"),
        (["--clientappio-api-address", "unix:" + "/x" * 100], "--clientappio-api-address"),
    ]
]
CLIENTAPP += [
    (["--insecure", "--python", "/nonexistent/python3"], "--python: /nonexistent/python3"),
    (["--insecure", "--grace", "-1"], "--grace"),
    (["--insecure", "--token-file", "FILE"], "--token-file FILE cannot be read: No such"),
    (["--insecure", "--token-file", "PLACE"], "--token-file PLACE is no file"),
    (["--insecure", "--token-file", "PLACE/pipe.toml"], "PLACE/pipe.toml is no file"),
    (["--insecure", "--token-file", "PLACE/locked.toml"], "cannot be read: Permission denied"),
    (["--insecure", "--token-file", "PLACE/good.toml"], "--token-file takes the decimal number"),
    (["--insecure", "--token-file", "PLACE/large.toml"], "--token-file", "too large"),
    (["--insecure", "--root-certificates", "FILE"], "--insecure", "(Exit Code: 603, "),
    (["--root-certificates", "FILE"], "--root-certificates FILE cannot", "(Exit Code: 604, "),
    (["--root-certificates", "PLACE/good.toml"], "--root-certificates: PLACE/good.toml has no cert"),
    (["--client-key", "PLACE/good.toml"], "give both, or none"),
    *DEPENDENCIES,
]
CLIENTAPP += [
    (["--insecure", "--parent-pid", pid], f'option --parent-pid: "{pid}" must be ')
    for pid in ("0", "-1", "", "init", "1x", "2147483648")
]
SUPEREXEC = [
    (["--insecure", "--nonsense"], "unknown option --nonsense"),
    (["--insecure", "--token", "1"], "unknown option --token"),
    (["--insecure", "--plugin-type", "serverapp"], '--plugin-type "serverapp" is not in this'),
    (["--insecure", "--executor", "kubernetes"], '--executor "kubernetes" is not in this version'),
    (["--insecure", "--executor-config", "FILE"], "--executor-config is not in this version: "),
    (["--insecure", "--health-server-address", ":1"], "--health-server-address", "Code: 600"),
    (["--insecure", "--root-certificates", "FILE"], "--insecure", "(Exit Code: 603, "),
    (["--root-certificates", "FILE"], "--root-certificates FILE cannot", "(Exit Code: 604, "),
    (["--insecure", "--runtime-api-address", "https://h:1"], "--insecure turns off: leave one out"),
    (["--insecure", "--parent-pid", "0"], "--parent-pid"),
    *DEPENDENCIES,
]
SUPEREXEC += [(["--insecure", "--superexec-auth-secret-file", file], says) for file, says in SECRET]
TO = {
    "flower-supernode": "--superlink",
    "flwr-clientapp": "--clientappio-api-address",
    "flower-superexec": "--runtime-api-address",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with files that are good for nothing."""
    place = tmp_path_factory.mktemp("place")
    for name, content in {
        "good": b"a = 1\n",
        "broken": b"a = 1\nb = \n",
        "array": b"a = [1]\n",
        "strange": b'"a\\n\\u001bb" = [1]\n',
        "large": b"#" * 2**20 + b"\n",
        "locked": b"a = 1\n",
    }.items():
        (place / f"{name}.toml").write_bytes(content)
    (place / "locked.toml").chmod(0)
    (place / "locked").mkdir(mode=0o500)
    (place / "folder.toml").mkdir()
    (place / "loop.toml").symlink_to("loop.toml")
    os.mkfifo(place / "pipe.toml")
    return place


@pytest.fixture
def peer():
    """A socket where a program that starts would connect."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        yield listening


def address_of(listening):
    return f"127.0.0.1:{listening.getsockname()[1]}"


def run(program, arguments, **more):
    command = [Path(os.environ["FLWR_BIN_DIR"]) / program, *arguments]
    if os.geteuid() == 0:
        # Or it could read what nobody may read.
        command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=30,
        check=False,
        **more,
    )


@pytest.mark.parametrize(
    "program, arguments, says",
    [("flower-supernode", arguments, says) for arguments, *says in SUPERNODE]
    + [("flwr-clientapp", arguments, says) for arguments, *says in CLIENTAPP]
    + [("flower-superexec", arguments, says) for arguments, *says in SUPEREXEC],
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[:60],
)
def test_wrong(program, arguments, says, place, peer, tmp_path_factory):
    def filled(text):
        return text.replace("PLACE", str(place)).replace("TAKEN", address_of(peer))

    home = tmp_path_factory.mktemp("home")
    homes = dict.fromkeys(("HOME", "TMPDIR", "XDG_RUNTIME_DIR", "FLWR_HOME"), str(home))
    done = run(
        program,
        [TO[program], address_of(peer), *map(filled, arguments)],
        cwd=home,
        env={**os.environ, **homes},
    )
    assert done.returncode == 2, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{program}: ") and line.isprintable()
    for part in says:
        assert filled(part) in line, line
    # Nothing was begun.
    assert list(home.iterdir()) == []
    with suppress(BlockingIOError):
        peer.accept()
        pytest.fail("it has connected")


@pytest.mark.parametrize("program", TO)
def test_help_and_version(program):
    for option in ("--version", "-V"):
        done = run(program, [option])
        assert (done.returncode, done.stderr) == (0, "")
        line = rf"{program} \(flwr-native\) \d+\.\d+\.\d+, Flower 1\.15-1\.42\n"
        assert re.fullmatch(line, done.stdout)
    done = run(program, ["--help"])
    assert (done.returncode, done.stderr) == (0, "")
    assert TO[program] in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())


def test_missing_address():
    done = run("flower-superexec", ["--insecure"])
    assert done.returncode == 2 and "--runtime-api-address ADDR is needed" in done.stderr


def test_clock_variable():
    environ = {**os.environ, "FLWR_TEST_CLOCK_OFFSET_S": "soon"}
    done = run("flower-supernode", ["--insecure", *ELSEWHERE], env=environ)
    assert done.returncode == 2 and "FLWR_TEST_CLOCK_OFFSET_S" in done.stderr


def warnings_of(done):
    return [line for line in done.stderr.splitlines() if " WARN " in line and AS_ROOT not in line]


@pytest.mark.parametrize(
    "arguments, warned",
    [
        (["--insecure", "--rest"], 0),
        (["--insecure", "--superlink", "grpc://127.0.0.1:1"], 1),
        (["--insecure", "--superlink", "HTTP://127.0.0.1:1/"], 1),
        (["--superlink", "http://127.0.0.1:1/"], 0),
        (["--superlink", "https://127.0.0.1:1"], 1),
        (["--insecure", "--clientappio-api-address", "http://127.0.0.1:0/"], 1),
        (["--insecure", "--health-server-address", "grpc://127.0.0.1:0"], 1),
    ],
)
def test_more_than_is_needed(arguments, warned, tmp_path):
    """At most one line, and then it works as without."""
    environ = {**os.environ, "HOME": str(tmp_path)}
    done = run("flower-supernode", [*ELSEWHERE, "--max-retries", "0", *arguments], env=environ)
    assert done.returncode == 1 and "gave up on SuperLink 127.0.0.1:1" in done.stderr
    warnings = warnings_of(done)
    assert len(warnings) == warned, done.stderr
    assert all("scheme before the address is not needed" in line for line in warnings)


def connect(program, options, peer, home):
    """What the program writes until it is stopped, once it has connected to the peer."""
    environ = {**os.environ, "HOME": str(home), "FLWR_HOME": str(home)}
    command = [Path(os.environ["FLWR_BIN_DIR"], program), "--insecure", *options]
    peer.settimeout(30)
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as worker:
        try:
            connection, _ = peer.accept()
            connection.close()
        finally:
            worker.terminate()
            _, said = worker.communicate(timeout=30)
    return said


@pytest.mark.parametrize("option", ["--clientappio-api-address", "--runtime-api-address"])
def test_scheme_for_a_worker(option, peer, tmp_path):
    """It connects, and says that the scheme was not needed."""
    said = connect("flwr-clientapp", [option, f"grpc://{address_of(peer)}"], peer, tmp_path)
    assert said.count("the scheme before the SuperNode's address is not needed") == 1


@pytest.mark.parametrize("first", ["newer", "older"])
@pytest.mark.parametrize(
    "program, older",
    [
        ("flwr-clientapp", "--clientappio-api-address"),
        ("flower-superexec", "--appio-api-address"),
    ],
)
def test_two_names_of_the_address(program, older, first, peer, tmp_path):
    """It connects to the address of the newer name, and one line names both options."""
    pairs = [("--runtime-api-address", address_of(peer)), (older, "127.0.0.1:1")]
    if first == "older":
        pairs.reverse()
    said = connect(program, [word for pair in pairs for word in pair], peer, tmp_path)
    (warning,) = [line for line in said.splitlines() if f"{older} has no effect" in line]
    assert " WARN " in warning and "--runtime-api-address" in warning


def test_nowhere_to_keep_large_messages(tmp_path):
    """Said at the start, not with the first large message."""
    (tmp_path / "file").touch()
    environ = {**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path / "file")}
    arguments = ["--insecure", *ELSEWHERE, "--max-retries", "0"]
    done = run("flower-supernode", arguments, env=environ)
    (warning,) = warnings_of(done)
    assert f"messages over 32 MiB cannot be kept: {tmp_path}/file: " in warning


# ---- every flag of every release ----

# What the programs' --help and their hidden options are from 1.15 to 1.42; True: with a value.
FLAGS = {
    "flower-supernode": {
        "insecure": False,
        "root-certificates": True,
        "superlink": True,
        "grpc-rere": False,
        "grpc-adapter": False,
        "rest": False,
        "max-retries": True,
        "max-wait-time": True,
        "auth-supernode-private-key": True,
        "auth-supernode-public-key": True,
        "node-config": True,
        "flwr-dir": True,
        "isolation": True,
        "clientappio-api-address": True,
        "host": True,
        "port": True,
        "ssl-certfile": True,
        "ssl-keyfile": True,
        "ssl-ca-certfile": True,
        "appio-ssl-certfile": True,
        "appio-ssl-keyfile": True,
        "appio-ssl-ca-certfile": True,
        "trusted-entities": True,
        "health-server-address": True,
        "superexec-auth-secret-file": True,
        "allow-runtime-dependency-installation": False,
    },
    "flwr-clientapp": {
        "clientappio-api-address": True,
        "runtime-api-address": True,
        "token": True,
        "token-file": True,
        "insecure": False,
        "root-certificates": True,
        "parent-pid": True,
        "flwr-dir": True,
        "run-once": False,
        "allow-runtime-dependency-installation": False,
    },
    "flower-superexec": {
        "appio-api-address": True,
        "runtime-api-address": True,
        "plugin-type": True,
        "insecure": False,
        "root-certificates": True,
        "parent-pid": True,
        "health-server-address": True,
        "superexec-auth-secret-file": True,
        "executor": True,
        "executor-config": True,
        "allow-runtime-dependency-installation": False,
        "flwr-dir": True,
    },
}
GOOD = {"isolation": "process", "plugin-type": "clientapp", "executor": "subprocess"}
STOPPERS = {"help", "version"}  # nothing behind them is looked at
ALL = os.environ.get("FLWR_TEST_ALL_RELEASES") == "1"
USUAL = ("1.15", "1.26", "1.34", "1.39", "1.41")
VERSIONS = [each for each in release.known() if ALL or each.rpartition(".")[0] in USUAL]
# Has each program list its options instead of reading them.
LISTING = """
import argparse, contextlib, json, sys

def show(parser, *arguments, **more):
    rows = {name[2:]: action.nargs != 0 for action in parser._actions
            for name in action.option_strings if name.startswith("--")}
    print(json.dumps(rows))
    sys.exit(0)

argparse.ArgumentParser.parse_args = show
for program in sys.argv[1:]:
    sys.argv = [program]
    with contextlib.suppress(SystemExit):
        exec(compile(open(program).read(), program, "exec"))
"""


def understood(program, flag, takes_value):
    """The flag is known, with or without a value: what is wrong then is what stands behind it."""
    words = [f"--{flag}"] + [GOOD.get(flag, "1")] * takes_value
    said = run(program, [*words, "--nonsense"])
    assert said.returncode == 2, said
    if f"--{flag} is not in this version: " not in said.stderr:
        assert "unknown option --nonsense" in said.stderr, said.stderr


@pytest.mark.parametrize(
    "program, flag", [(program, flag) for program, flags in FLAGS.items() for flag in flags]
)
def test_flag(program, flag):
    understood(program, flag, FLAGS[program][flag])


@pytest.mark.parametrize("version", VERSIONS)
def test_flags_of_release(version, tmp_path):
    """The table has all that the real programs take, as they take it."""
    try:
        found = release.find(version)
    except LookupError as missing:
        if ALL:
            raise
        pytest.skip(str(missing))
    # To 1.20 there is none, or one of another kind, which only says that it is no more.
    programs = [each for each in TO if each != "flower-superexec" or found.minor > 20]
    listing = tmp_path / "listing.py"
    listing.write_text(LISTING, encoding="utf-8")
    environ = {**os.environ, "HOME": str(tmp_path), "FLWR_TELEMETRY_ENABLED": "0"}
    done = subprocess.run(
        [found.python, "-B", listing, *(found.bin / each for each in programs)],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
        env=environ,
    )
    listed = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(listed) == len(programs), done.stdout
    for program, rows in zip(programs, listed):
        assert len(rows) > 4
        for flag in STOPPERS & set(rows):
            assert run(program, [f"--{flag}"]).returncode == 0
        missing = set(rows.items()) - set(FLAGS[program].items())
        assert {flag for flag, _ in missing} <= STOPPERS, program
