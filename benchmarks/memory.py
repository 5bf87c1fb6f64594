"""What a record takes of the memory engine's process beside its key and value.

python benchmarks/memory.py
"""

import resource

import msgspec

from handler.store.memory.engine import MemoryStore

RECORDS = 200_000
_VALUE = b'"0123456789"'


def peak_bytes() -> int:
    """Return the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Fill a store with small records and print the bytes of each one."""
    store = MemoryStore(2**40)
    before = peak_bytes()
    for number in range(RECORDS):
        store.set(f"key/{number:08}", msgspec.Raw(_VALUE).copy())
    taken = (peak_bytes() - before) / RECORDS
    counted = (store.status().bytes or 0) / RECORDS
    print(f"{taken:.0f} bytes a record, {counted:.0f} of them its key and value")


if __name__ == "__main__":
    main()
