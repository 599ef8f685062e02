"""Processes of a tracker end with the one that started them."""

import os
import signal
import subprocess
import sys

import pytest

CHILD = """
import sys, threading
from phasetune.tracking.children import end_with
end_with(int(sys.argv[1]))
print("ready", flush=True)
threading.Event().wait(60)
"""
PARENT = """
import os, subprocess, sys, threading
child = [sys.executable, "-c", sys.argv[1], str(os.getpid())]
thread = threading.Thread(target=lambda: subprocess.run(child, start_new_session=True))
thread.start()
thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a child ends when its work is done")
def test_a_child_is_gone_when_its_parent_was_killed() -> None:
    command = [sys.executable, "-c", PARENT, CHILD]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    assert parent.stdout.readline() == "ready\n"
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait(20)
    assert parent.stdout.read() == ""  # its end is when the child has left the pipe too
    parent.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a child ends when its work is done")
def test_a_child_whose_parent_is_gone_already_does_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, "1"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
