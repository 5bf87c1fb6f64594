"""How long kv-client takes to start, side by side with importing requests.

    python benchmarks/startup.py [ROUNDS]

Each is measured as a whole process, in turns, so that what else the machine does meets all alike.
The seconds are of the processor, user and system; those of the clock stand beside them.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

KV = [str(Path(sys.executable).with_name("kv-client"))]
REFERENCE = "import requests"


def measured(command: list[str]) -> tuple[float, float]:
    """Return the seconds of processor and clock that a command takes."""
    before, started = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    clock, after = time.perf_counter() - started, os.times()
    children = (after.children_user, after.children_system)
    return sum(children) - before.children_user - before.children_system, clock


def main() -> None:
    """Measure, and print a line for each command."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    serve = [*KV, "--endpoint", "local://", "serve", "--port", "0"]
    with (
        TemporaryDirectory() as state,
        subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as gateway,
    ):
        os.environ["XDG_STATE_HOME"] = state
        try:
            url = (gateway.stdout.readline() if gateway.stdout else "").split()[-1]
            commands = {
                REFERENCE: [sys.executable, "-c", REFERENCE],
                "kv-client get": [*KV, "--endpoint", url, "get", "name"],
                "kv-client --help": [*KV, "--help"],
            }
            subprocess.run([*KV, "--endpoint", url, "set", "name", "ashish"], check=True)
            times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
            for _ in range(rounds):
                for name, command in commands.items():
                    times[name].append(measured(command))
        finally:
            gateway.terminate()
    medians = {
        name: [statistics.median(part) for part in zip(*pairs, strict=True)]
        for name, pairs in times.items()
    }
    print(f"{'median of ' + str(rounds):<20} {'cpu':>9} {'ratio':>6} {'clock':>9} {'ratio':>6}")
    for name, (cpu, clock) in medians.items():
        ratios = cpu / medians[REFERENCE][0], clock / medians[REFERENCE][1]
        cells = f"{cpu * 1000:6.0f} ms {ratios[0]:6.2f} {clock * 1000:6.0f} ms {ratios[1]:6.2f}"
        print(f"{name:<20} {cells}")


if __name__ == "__main__":
    main()
