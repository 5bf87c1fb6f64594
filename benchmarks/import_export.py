"""How long records take into a store and out of it again, through the gateway.

    python benchmarks/import_export.py [RECORDS]

The seconds of the processor, user and system, are given for both processes: where others use the
machine too, they say more than the clock's.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

KV = [str(Path(sys.executable).with_name("kv-client"))]


def cpu_of(process: int) -> float:
    """Return the seconds of processor that a running process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure, and print a line for each step."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        file = Path(folder) / "records"
        with file.open("w") as stream:
            for number in range(count):
                record = {"key": f"key/{number:08}", "value": {"name": "ashish", "number": number}}
                stream.write(json.dumps(record) + "\n")
        serve = [*KV, "--endpoint", "local://", "serve", "--port", "0"]
        with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as gateway:
            try:
                url = (gateway.stdout.readline() if gateway.stdout else "").split()[-1]
                print(f"{count} records    {'clock':>8} {'client cpu':>11} {'gateway cpu':>12}")
                for name, words in {
                    "import": ["import", str(file)],
                    "import again": ["import", str(file)],
                    "dry run": ["import", str(file), "--dry-run"],
                    "export": ["export"],
                }.items():
                    before, gateway_before = os.times(), cpu_of(gateway.pid)
                    started = time.perf_counter()
                    command = [*KV, "--endpoint", url, *words]
                    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                    clock, after = time.perf_counter() - started, os.times()
                    client = after.children_user + after.children_system
                    client -= before.children_user + before.children_system
                    behind = cpu_of(gateway.pid) - gateway_before
                    print(f"{name:<18} {clock:6.2f} s {client:9.2f} s {behind:10.2f} s")
            finally:
                gateway.terminate()


if __name__ == "__main__":
    main()
