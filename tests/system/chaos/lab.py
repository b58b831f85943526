"""A federation whose node is damaged, and what must hold after each time."""

import os
import re
import time
from pathlib import Path

from kit.relay import Relay

from federation.processes import Late, command_of, tree_of, wait_until

from .place import Link

# Lines of trouble that damage explains.
EXPECTED = (
    r"message (\S+ )?failed: ",
    r"message dropped: ",
    r"SuperLink .*: ",
    r"the reaper \(process \d+\) has ended",
    r"heartbeat",
    r"zygote( of run \d+)?: (killed by signal 9|it does not fork)",  # it may have been about to
    r"reply (lost|dropped)",
    r"some replies could not be sent",
)
SLOTS = 3
# Of apps, where the node is root: nobody else's, since its processes are counted.
USER = 30000 + os.getpid() % 10000
OPTIONS = {
    "--restart": True,
    "--grace": 1,
    "--max-workers": SLOTS,
    "--parallel-in-run": True,
    "--worker-memory": "1G",
    "--worker-pids": 60,
}
TTL_S = 25  # of a message that its node may not answer: then the SuperLink does
RSS_MARGIN_KIB = 24 << 10
# A spare worker, the fork server, the zygote, its fork ahead with the parent of that.
WAITING = {"flwr-clientapp": 2, "python": 2, "flwr-app-start": 1}
FD_MARGIN = 12  # connections come and go


class Work:
    """A message whose app is at work until it is told otherwise."""

    def __init__(self, id, file, pipe, start):
        self.id = id
        self.file = file
        self.pipe = pipe
        self.start = start  # where its lines in the node's log begin

    @property
    def pids(self):
        """Of the app and its children."""
        wait_until(self.file.exists, "the app is at work", 60)
        return [int(pid) for pid in self.file.read_text(encoding="utf-8").split()]

    def release(self):
        """The app replies."""
        fd = None

        def opened():
            nonlocal fd
            try:
                fd = os.open(self.pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                return False
            return True

        wait_until(opened, "the app reads its word", 60)
        os.write(fd, b"go on")
        os.close(fd)


class Lab:
    """SuperLink, a relay before it, a node that is started again, a judge."""

    def __init__(self, federation, place, random):
        self.federation = federation
        self.place = place
        self.disk = place.disk
        self.random = random
        self.number = 0
        self.late = {}  # messages of nodes that were killed: when the SuperLink must have answered
        self.judge = None
        federation.expect(*EXPECTED)
        self.start_superlink()
        self.relay = Relay(federation.fleet)
        self.link = Link(self.relay.port) if place.own else None
        self.node = None
        self.start_node()
        self.ask()
        self.at_rest()
        self.size = self.measure()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.relay.close()

    def settle(self):
        """Each message has had one reply, those of nodes that were killed, too."""
        self.forget_run()
        text = "".join(node.text() for node in self.federation.nodes)
        sent = re.findall(r"reply sent: .*message_id=(\S+)", text)
        assert sent, "no node says which reply it has sent"
        assert len(sent) == len(set(sent)), "a message was answered twice"

    # ---- what runs ----

    def start_superlink(self):
        """Also again, after its end: it has forgotten its nodes and runs. (Beside a database 1.15.2
        would lose the error of an error reply.)"""
        self.federation.start_superlink()
        self.judge = self.federation.judge()

    def start_node(self):
        """Anew: the last one has ended with its reaper."""
        user = {"--app-user": f"{USER}:{USER}"} if os.geteuid() == 0 else {}
        self.node = self.federation.start_node(
            options={**OPTIONS, **user},
            superlink=f"127.0.0.1:{self.relay.port}",
            env={"TMPDIR": str(self.place.tmp), "FLWR_HOME": str(self.place.home)},
        )
        self.node_id = self.federation.wait_registered(self.node)

    @property
    def reaper(self):
        return self.node.popen.pid

    def worker(self, work):
        """The process that works on this message, whose app is at work."""
        text = self.node.text(work.start)
        number = re.search(rf" (\d+): works on .*message_id={work.id} ", text).group(1)
        return int(re.search(rf"worker started: message={number} pid=(\d+)", text).group(1))

    @property
    def zygote(self):
        """It comes with the first message of a program."""
        return wait_until(self.find_zygote, "there is a zygote", 60)

    def find_zygote(self):
        ready = {int(pid) for pid in re.findall(r"zygote pid=(\d+): ready", self.node.text())}
        return next((pid for pid in tree_of(self.reaper) if pid in ready), None)

    def wait_registered(self, start):
        """Wait: the reaper has started the node anew, or the SuperLink is new."""
        self.node_id = self.federation.wait_registered(self.node, start, 90)

    # ---- messages ----

    def begin(self, ttl=3600.0):
        """A message for each slot."""
        return [self.begin_one(ttl) for _ in range(SLOTS)]

    def begin_one(self, ttl):
        self.number += 1
        file, pipe = (self.place.words / f"{name}-{self.number}" for name in ("pids", "word"))
        os.mkfifo(pipe)
        start = self.node.size()
        id = self.judge.send(self.node_id, "hold", ttl=ttl, file=str(file), pipe=str(pipe))
        return Work(id, file, pipe, start)

    def choose(self, works):
        """One of them, and the others."""
        first, *others = self.random.sample(works, len(works))
        return first, others

    def wait_received(self, works):
        """The node has these messages."""
        for work in works:
            self.node.wait_log(rf"message received: .*message_id={work.id} ", 60, work.start)

    def wait_at_work(self, works):
        """Their apps are; the pids of these and their children."""
        return [pid for work in works for pid in work.pids]

    def ask(self, **order):
        """As many messages as there are slots are served as usual."""
        order = {"bytes": 100_000, **order}
        for message in [self.judge.send(self.node_id, "echo", **order) for _ in range(SLOTS)]:
            self.answers(message, 0)

    def answers(self, message, *codes, seconds=90):
        reply = self.judge.reply(message, seconds)
        assert reply["code"] in codes, (codes, reply)

    def all_answer(self, works, *codes):
        for work in works:
            self.answers(work.id, *codes)

    def finish(self, works):
        """They have taken no harm."""
        for work in works:
            work.release()
        self.all_answer(works, 0)

    def lost_with_node(self, works):
        """Their node was killed: only the SuperLink can answer, when the messages' ttl is over.
        What that of 1.15.2 says then is of no run, and would end the ServerApp: it asks no more."""
        if self.federation.release.minor == 15:
            self.judge.forget()
            return
        for work in works:
            self.late[work] = time.monotonic() + 2 * TTL_S + 60

    def answered_late(self, work):
        left = max(1, self.late.pop(work) - time.monotonic())
        reply = self.judge.reply(work.id, left)
        assert reply["code"] not in (0, 2), reply

    def forget_run(self):
        """The SuperLink, and the run with it, is about to go: what it owes is looked at before."""
        for work in list(self.late):
            self.answered_late(work)

    # ---- after each time ----

    def measure(self):
        pid = self.node.pid
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            (rss,) = re.findall(r"^VmRSS:\s+(\d+)", status.read(), re.MULTILINE)
        return int(rss), len(os.listdir(f"/proc/{pid}/fd"))

    def is_at_rest(self):
        """Reaper, program and at most what waits for the next message: nothing else is below the
        node."""
        room = dict(WAITING)
        for pid in tree_of(self.reaper)[2:]:
            program = Path(command_of(pid).split(" ")[0]).name
            program = "python" if program.startswith("python") else program
            room[program] = room.get(program, 0) - 1
        return all(left >= 0 for left in room.values())

    def at_rest(self):
        try:
            wait_until(self.is_at_rest, "only the node is left", 30)
        except Late as late:
            raise Late(f"{late}: {[command_of(pid) for pid in tree_of(self.reaper)]}") from late

    def is_small(self):
        rss, fds = self.measure()
        return rss <= self.size[0] + RSS_MARGIN_KIB and fds <= self.size[1] + FD_MARGIN

    def check(self, works):
        """The next messages are served; no process and no file is left; memory is back."""
        self.ask()
        self.at_rest()
        started = [work for work in works if work.file.exists()]
        self.federation.wait_gone(self.wait_at_work(started), 10)
        ours = set(tree_of(self.reaper))
        strays = [
            pid
            for pid in self.federation.marked()
            if pid not in ours and "sleep 1000" in command_of(pid)
        ]
        assert not strays, strays
        files = [path for path in self.place.tmp.iterdir() if path.name != "ballast"]
        assert len(files) <= 1, files
        assert not list(self.place.home.glob("apps/*.tmp"))
        wait_until(self.is_small, f"memory is back to {self.size} from {self.measure()}", 30, 0.5)
