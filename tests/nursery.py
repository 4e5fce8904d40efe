"""A process that imports torch once, and forks one for each script that a test wants to run.

Each line of its input is a script to start, with what it is given and where its output goes, or a
process to wait for; each line of its output is the number of a process, or how one has ended.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

import torch

import fitdiag


def live(script: str, given: list[str], out: str, err: str) -> None:
    """Be the process of a script, and end with it."""
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY), number)
    sys.argv = ["-c", *given]
    code = 0
    try:
        exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})  # noqa: S102 of a test
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001 whatever it is, it is told, and the process ends
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def serve() -> None:
    """Do what is asked, line by line."""
    torch.set_num_threads(1)
    assert callable(fitdiag.record)  # loads all that records
    for line in iter(sys.stdin.readline, ""):
        asked = json.loads(line)
        if "wait" in asked:
            answer = os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])
        else:
            answer = os.fork()
            if not answer:
                live(**asked)
        os.write(1, b"%d\n" % answer)


if __name__ == "__main__":
    serve()
