"""Wrong command lines: one line that names the option and says what to do, status 2, no start."""

import json
import os
import re
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

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
    ("http://127.0.0.1:9092", "without a scheme"),
    ("grpc://127.0.0.1:9092", "without a scheme"),
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
    ("a=1e999", "number that TOML does not take"),
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
    "--memory-budget": ["-1", "-1G", "0", "1023K", "much", "5MB", "1.5G"],
    "--grpc-max-message-length": ["-1", "0", "536870911", "2G", "all", "99999999999999999999"],
}
ELSEWHERE = ["--superlink", "127.0.0.1:1"]
SUPERNODE = [
    ([], "--insecure"),
    (["--insecure", "--nonsense"], "unknown option --nonsense"),
    (["--insecure", "--superlnk", "127.0.0.1:9092"], "did you mean --superlink?"),
    (["--insecure", "-superlink", "127.0.0.1:9092"], "did you mean --superlink?"),
    (["--insecure", "--s", "127.0.0.1:9092"], "did you mean --superlink?"),
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
    (["--root-certificates", "ca.pem"], "--insecure"),
    (["--insecure", "--grpc-adapter"], "--grpc-rere"),
    (["--insecure", "--rest"], "--grpc-rere"),
    (["--insecure", "--auth-supernode-private-key", "key"], "--auth-supernode-private-key"),
    (["--insecure", "--auth-supernode-public-key", "key"], "--auth-supernode-public-key"),
    # contradictions
    (["--insecure", "--root-certificates", "ca.pem"], "--root-certificates"),
    (["--insecure", "--grpc-rere", "--rest"], "--rest"),
    (["--insecure", "--poll-min", "5", "--poll-max", "1"], "--poll-max 5 or more"),
    (["--insecure", "--poll-min", "60"], "--poll-max 60 or more"),
    (["--insecure", "--clientapp-wait", "5"], "--clientapp-wait is for --isolation process"),
    (["--insecure", "--worker-reconnect", "5"], "--worker-reconnect is for --isolation process"),
    (["--insecure", "--isolation", "process", "--python", "python3"], "--python has no effect"),
    (
        ["--insecure", "--isolation", "process", "--no-stderr-in-replies"],
        "--no-stderr-in-replies has no effect",
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
    for address, says in [*ADDRESSES, ("unix:/run/node.sock", "without a scheme")]
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
    (
        ["--insecure", "--isolation", "process", "--clientapp-command", "sh"],
        "--clientapp-command is for --isolation subprocess",
    ),
]
SUPERNODE += [(["--insecure", "--memory-budget", "8388608T"], "--memory-budget", "is too large")]
CLIENTAPP = [
    ([], "--insecure"),
    (["--token", "12"], "--insecure"),
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
    for address, says in [*ADDRESSES, ("127.0.0.1:0", "from 1 to 65535")]
]
CLIENTAPP += [
    (["--insecure", "--token", "1", *more], *says)
    for more, *says in [
        (["--run-once"], "--run-once and --token"),
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
]


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
    + [("flwr-clientapp", arguments, says) for arguments, *says in CLIENTAPP],
    ids=lambda value: value if isinstance(value, str) else " ".join(value)[:60],
)
def test_wrong(program, arguments, says, place, peer, tmp_path_factory):
    def filled(text):
        return text.replace("PLACE", str(place)).replace("TAKEN", address_of(peer))

    home = tmp_path_factory.mktemp("home")
    homes = dict.fromkeys(("HOME", "TMPDIR", "XDG_RUNTIME_DIR", "FLWR_HOME"), str(home))
    to = "--superlink" if program == "flower-supernode" else "--clientappio-api-address"
    done = run(
        program,
        [to, address_of(peer), *map(filled, arguments)],
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


@pytest.mark.parametrize("program", ["flower-supernode", "flwr-clientapp"])
def test_help_and_version(program):
    for option in ("--version", "-V"):
        done = run(program, [option])
        assert (done.returncode, done.stderr) == (0, "")
        line = rf"{program} \(flwr-native\) \d+\.\d+\.\d+, Flower 1\.15.*\n"
        assert re.fullmatch(line, done.stdout)
    done = run(program, ["--help"])
    assert (done.returncode, done.stderr) == (0, "")
    assert "--clientappio-api-address" in done.stdout
    assert all(len(line) <= 100 for line in done.stdout.splitlines())
