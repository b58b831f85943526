"""One SuperLink with one run, for the tests of a module one after the other: a test marked `shared`
has it when it asks for a SuperLink like it, and for a run of the judge. Its nodes are its own."""

from federation.processes import Late
from tested import TestedFederation


class Host:
    """The SuperLink and the run, started for the first test that asks."""

    def __init__(self, folder, *arguments):
        self.folder = folder
        self.arguments = arguments
        self.number = 0
        self.federation = None
        self.judge = None

    def ready(self):
        """They run and answer; the nodes that are there, of earlier tests."""
        if self.federation:
            try:
                return self.judge.forget()
            except (Late, OSError, RuntimeError):
                self.close()
        self.number += 1
        self.federation = TestedFederation(self.folder / f"host-{self.number}", *self.arguments)
        self.federation.start_superlink()
        self.judge = self.federation.judge()
        return self.judge.forget()

    def show_logs(self):
        if self.federation:
            self.federation.show_logs()

    def close(self):
        """What was wrong with it."""
        federation, self.federation = self.federation, None
        return federation.finish() if federation else []


class Borrowed:
    """The host's SuperLink; its log begins with the test."""

    def __init__(self, process):
        self.process = process
        self.pid = process.pid
        self.start = process.size()

    def running(self):
        return self.process.running()

    def text(self):
        return self.process.text(self.start)


class Guest(TestedFederation):
    """A test's federation, at the host's SuperLink where that is as the test wants it."""

    def __init__(self, host, *arguments):
        super().__init__(*arguments)
        self.host = host
        self.borrows_run = False

    def start_superlink(self, database=None, release=None):
        host = self.host
        if database or release or self.certificates or self.superlink:
            return super().start_superlink(database, release)
        self.others = host.ready()
        link = host.federation
        if self.release.environment != link.release.environment:
            return super().start_superlink()
        link.others = self.others
        self.fleet, self.control, self.appio = link.fleet, link.control, link.appio
        self.write_config_file()
        self.superlink = Borrowed(link.superlink)
        self.borrows_run = True
        return self.superlink

    def judge(self, overrides="", **more):
        """The host's, unless the test has it already or wants another one."""
        if overrides or more or not self.borrows_run:
            return super().judge(overrides, **more)
        self.borrows_run = False
        return self.host.judge
