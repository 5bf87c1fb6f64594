"""The commands: each asks the store and prints what it answered."""

import time
from argparse import Namespace
from typing import TYPE_CHECKING

from kv_client.context import Context, UsageError
from kv_client.errors import KVError
from kv_client.status import ExitStatus, exit_status
from kv_client.values import read_value, shown, shown_on_a_line

if TYPE_CHECKING:
    from kv_client.records import Record


def _confirm(context: Context, verb: str, record: "Record") -> None:
    if context.json:
        context.print_json(record.text)
        return
    state = [f"version {record.version}"]
    if record.expires_at:
        state.append(f"expires {record.expires_at:%Y-%m-%dT%H:%M:%SZ}")
    if record.subscribed:
        state.append("subscribed")
    context.print(f"{verb} {record.key} ({', '.join(state)})")


def _confirm_key(context: Context, done: str, key: str) -> None:
    if context.json:
        context.print_object({"key": key})
    else:
        context.print(f"{done} {key}")


def set_(context: Context, args: Namespace) -> None:
    record = context.client.set(args.key, read_value(context, args), ttl=args.ttl)
    _confirm(context, "set", record)


def get(context: Context, args: Namespace) -> None:
    record = context.client.get(args.key)
    if context.json:
        context.print_json(record.text)
    elif args.raw:
        context.streams.stdout.write(shown(record))
    else:
        context.print(shown(record))


def put(context: Context, args: Namespace) -> None:
    record = context.client.put(
        args.key,
        read_value(context, args),
        ttl=args.ttl,
        create=args.create,
        if_match=args.if_match,
    )
    _confirm(context, "put", record)


def del_(context: Context, args: Namespace) -> ExitStatus:
    failures = []
    for key in args.keys:
        try:
            context.client.delete(key, if_match=args.if_match)
        except KVError as error:
            context.complain(f"{type(error).__name__}: {error.message}")
            failures.append(exit_status(error))
        else:
            _confirm_key(context, "deleted", key)
    if not failures:
        return ExitStatus.OK
    return failures[0] if len(failures) == len(args.keys) else ExitStatus.PARTIAL


def getall(context: Context, args: Namespace) -> None:
    for record in context.client.getall(args.prefix):
        if context.json:
            context.print_json(record.text)
        elif args.keys_only:
            context.print(record.key)
        else:
            context.print(f"{record.key}\t{shown_on_a_line(record)}")


def subs(context: Context, args: Namespace) -> None:
    record = context.client.subs(args.key)
    if context.json:
        context.print_json(record.text)
    else:
        context.print(f"subscribed to {record.key}")


def unsubs(context: Context, args: Namespace) -> None:
    context.client.unsubs(args.key)
    _confirm_key(context, "unsubscribed from", args.key)


def suball(context: Context, _: Namespace) -> None:
    for key in context.client.suball():
        if context.json:
            context.print_object({"key": key})
        else:
            context.print(key)


def incr(context: Context, args: Namespace) -> None:
    record = context.client.incr(args.key, args.by)
    if context.json:
        context.print_json(record.text)
    else:
        context.print(record.json)


def status(context: Context, _: Namespace) -> None:
    client = context.client
    started = time.perf_counter()
    answer = client.status()
    round_trip = (time.perf_counter() - started) * 1000
    report = {"endpoint": context.endpoint, **answer, "round_trip_ms": round(round_trip, 2)}
    if context.json:
        context.print_object(report)
        return
    for name, value in report.items():
        context.print(f"{name:<14} {'-' if value is None else value}")


def serve(context: Context, args: Namespace) -> None:
    from kv_client.gateway import ListenError
    from kv_client.gateway import serve as serve_endpoint

    endpoint = context.find_endpoint(default="local://")

    def ready(url: str) -> None:
        context.print(f"serving {endpoint} at {url}")
        context.streams.stdout.flush()

    try:
        serve_endpoint(
            context.open(endpoint).connection.endpoint,
            args.host,
            args.port,
            let_anyone_in=args.let_anyone_in,
            ready=ready,
        )
    except ListenError as error:
        raise UsageError(str(error)) from error


def shell(context: Context, _: Namespace) -> ExitStatus:
    from kv_client.shell import run_shell

    return run_shell(context)
