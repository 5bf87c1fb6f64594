"""How long the image's first answer takes, by engine: a new container each time, in turns.

    docker build -t kv-store . && python -m benchmarks.cold_start [ROUNDS]

The DynamoDB engine finds its table in moto's server on this machine. The time is that of one
request, sent as soon as the emulator listens: the start of Python, the imports, and the answer.
"""

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Mapping

import requests

from kv_client.events import event_of
from tests import dynamodb, runtimes

IMAGE = "kv-store"
INVOKE = "2015-03-31/functions/function/invocations"


def first_answer(environment: Mapping[str, str]) -> float:
    """Return the milliseconds of a new container's first answer."""
    with runtimes.rie_image_on_host(IMAGE, environment) as endpoint:
        url = f"{endpoint.replace('rie://', 'http://')}/{INVOKE}"
        started = time.perf_counter()
        answer = requests.post(url, json=event_of("GET", "/keys/a", {}, b""), timeout=30)
        taken = (time.perf_counter() - started) * 1000
    status = answer.json()["statusCode"]
    if status != requests.codes.not_found:
        raise SystemExit(f"the handler answered {status}, not 404: {answer.text}")
    return taken


def main() -> None:
    """Print the medians side by side."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with contextlib.ExitStack() as stack:
        settings = {
            **dynamodb.CREDENTIALS,
            "AWS_REGION": dynamodb.REGION,
            "AWS_ENDPOINT_URL": stack.enter_context(dynamodb.moto()),
        }
        os.environ.update(settings)
        engines = {
            "memory": {"KV_ENGINE": "memory"},
            "dynamodb": {**settings, "KV_ENGINE": "dynamodb", "KV_TABLE": dynamodb.make_table()},
        }
        times: dict[str, list[float]] = {engine: [] for engine in engines}
        for _ in range(rounds):
            for engine, environment in engines.items():
                times[engine].append(first_answer(environment))
    reference = statistics.median(times["memory"])
    for engine, taken in times.items():
        median = statistics.median(taken)
        print(f"{engine:<10}{median:6.0f} ms  {median / reference:.2f}")


if __name__ == "__main__":
    main()
