"""kv-client: the command line of kv-store, and its Python library.

``from kv_client import KVClient``
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kv_client.api import JSON, KVClient
    from kv_client.records import Change, Record

__all__ = ["JSON", "Change", "KVClient", "Record"]


def __getattr__(name: str) -> Any:
    # ``kv-client --help`` needs none of these, nor the HTTP library behind them.
    if name in ("JSON", "KVClient"):
        from kv_client import api

        return getattr(api, name)
    if name in ("Change", "Record"):
        from kv_client import records

        return getattr(records, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
