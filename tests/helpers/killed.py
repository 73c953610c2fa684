"""Builds a dataset through a hostile server while being killed again and again, and once undisturbed.

    python -m tests.helpers.killed --points 600 --slowness 0.3 -- --source coco_parts --data DATA/carparts --label car

prints what it took. The kills are SIGKILL, at times when a part of the questions has been answered. The command runs in
processes forked from one that has imported it, so that a start does not take seconds.
"""

import argparse
import hashlib
import json
import multiprocessing
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import training.build_point_dataset
from tests.helpers.stand_in import StandIn, stand_in

CONCURRENCY = 8


@dataclass(frozen=True)
class Run:
    """One dataset, and what it took.

    Args:
        files: of the dataset, without ``work/``: path -> digest of its content.
        server: as it was left.
        kills: how often the command was killed.
        seconds: in all.
    """

    files: dict[str, str]
    server: StandIn
    kills: int
    seconds: float

    @property
    def asked_again(self) -> int:
        """Answers that the server gave more than once to the same question."""
        return self.server.answered.total() - len(self.server.answered)


def built(folder: Path, arguments: Sequence[str], kill_at: Sequence[int] = (), **server: float) -> Run:
    """Run the command to its end, however often it is killed.

    Args:
        folder: where the dataset goes.
        arguments: of the command, without folder and writer.
        kill_at: numbers of kept answers at which to kill it, growing.
        server: options of the stand-in.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training.build_point_dataset"])
    started = time.monotonic()
    with stand_in(**server) as state:
        argv = [*arguments, "--output_dir", str(folder), "--writer", "server", "--model", "m", "--base_url", state.url]
        argv += ["--concurrency", str(CONCURRENCY), "--attempts", "20", "--first_wait_s", "0.02"]
        argv += [
            "--timeout_s",
            "4" if server.get("failures") else "60",
        ]  # hanging calls are to end; others to be answered
        for lines in kill_at:
            process = _start(context, argv)
            _wait_for_answers(folder / "work" / "answers.jsonl", lines, process)
            process.kill()
            process.join()
            assert process.exitcode == -signal.SIGKILL
        process = _start(context, argv)
        process.join()
        assert process.exitcode == 0, f"the last run ended with {process.exitcode}"
    files = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] != "work"
    }
    return Run(files, state, len(kill_at), time.monotonic() - started)


def _start(context: multiprocessing.context.ForkServerContext, argv: Sequence[str]) -> ForkServerProcess:
    process = context.Process(target=training.build_point_dataset.main, args=(list(argv),))
    process.start()
    return process


def _wait_for_answers(path: Path, lines: int, process: ForkServerProcess, timeout_s: float = 600.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        assert process.exitcode is None, f"it ended with {process.exitcode} before it could be killed"
        if path.exists() and path.read_bytes().count(b"\n") >= lines:
            return
        time.sleep(0.005)
    raise TimeoutError(f"fewer than {lines} answers after {timeout_s} s")


def main() -> None:
    """Compare the two runs and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=600)
    parser.add_argument("--slowness", type=float, default=0.3, help="answers take up to so many seconds")
    parser.add_argument("--failures", type=float, default=0.2)
    parser.add_argument("--stream", default="false")
    parser.add_argument("arguments", nargs="*", help="of the command")
    options = parser.parse_args()
    questions = 3 * options.points
    kill_at = [questions // 5, questions // 2, questions * 4 // 5]
    arguments = [*options.arguments, "--max_points", str(options.points), "--stream", options.stream]
    with tempfile.TemporaryDirectory() as folder:
        plain = built(Path(folder, "plain", "set"), arguments, refusals=0.02)
        bad = {"failures": options.failures, "slowness_s": options.slowness, "refusals": 0.02}
        hurt = built(Path(folder, "hurt", "set"), arguments, kill_at, **bad)
    figures = {
        "equal": plain.files == hurt.files,
        "files": len(plain.files),
        "questions": len(hurt.server.answered),
        "kills": hurt.kills,
        "failed_calls": {name: count for name, count in hurt.server.calls.items() if name != "answered"},
        "answered_twice": hurt.asked_again,
        "seconds": {"undisturbed": round(plain.seconds, 1), "hostile": round(hurt.seconds, 1)},
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
