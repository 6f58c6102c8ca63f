"""Writers that die: a child of this process is killed at its n-th step towards the disk, or at any moment."""

import os
import signal
import sys
import time
from contextlib import contextmanager

EVENTS = frozenset(
    {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "shutil.rmtree", "fsync"}
)


def writes(event, arguments):
    """Whether an audit event changes something on the disk."""
    if event != "open":
        return event in EVENTS
    mode, flags = arguments[1], arguments[2]
    return bool(mode and set(str(mode)) & set("wax+")) or bool(flags and flags & (os.O_WRONLY | os.O_RDWR))


class Steps:
    """Counts steps towards the disk below a folder, and dies at one of them."""

    def __init__(self):
        self.count, self.last, self.folder = 0, -1, None
        sys.addaudithook(self._hear)
        self._fsync = os.fsync
        os.fsync = self._sync

    def _sync(self, handle):
        # not audited by Python
        self._step()
        self._fsync(handle)

    def _hear(self, event, arguments):
        if self.folder is None or not writes(event, arguments):
            return
        if event == "open" or self.folder in str(arguments[0]):
            self._step()

    def _step(self):
        if self.folder is None:
            return
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    @contextmanager
    def dying_at(self, folder, last):
        """Die at step `last` (counted from 0) of the body; -1 only counts."""
        self.folder, self.count, self.last = str(folder), 0, last
        try:
            yield
        finally:
            self.folder = None


STEPS = Steps()


def count_steps(path, change):
    """Count the steps towards the disk of a change."""
    with STEPS.dying_at(path, -1):
        change(path)
    return STEPS.count


def die_at(path, change, step):
    """Run a change in a child that is killed just before a step; whether it died there."""

    def child():
        with STEPS.dying_at(path, step):
            change(path)

    return _fork(child) == -signal.SIGKILL


def kill_after(path, change, seconds):
    """Run a change in a child and kill it after some time; whether it was still at work."""
    return _fork(lambda: change(path), seconds) == -signal.SIGKILL


def _fork(work, seconds=None):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status)
