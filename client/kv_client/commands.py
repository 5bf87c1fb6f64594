"""The commands: each asks the store and prints what it answered."""

import time
from argparse import Namespace
from contextlib import suppress
from typing import TYPE_CHECKING

from kv_client import config
from kv_client.context import Context, EndOfShell, UsageError, coloured
from kv_client.errors import DeliveryRefused, KeyNotFound, KVError, NotSubscribed, OutOfReach
from kv_client.status import ExitStatus, exit_status
from kv_client.values import open_bytes, read_value, shown, shown_on_a_line

if TYPE_CHECKING:
    from kv_client.records import Record
    from kv_client.topics import Told, Topic
    from kv_client.transfer import Import

_COLOURS = {"put": "32", "del": "31"}


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
        context.streams.stdout.write(shown(record.json))
    else:
        context.print(shown(record.json))


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
    if args.if_match and len(args.keys) > 1:
        raise UsageError("--if-match is about one key: an etag is unique to one write")
    failures = []
    for number, key in enumerate(args.keys, 1):
        try:
            context.client.delete(key, if_match=args.if_match)
        except KVError as error:
            context.complain(f"{type(error).__name__}: {error.message}")
            failures.append(exit_status(error))
            if isinstance(error, OutOfReach):
                # Each of the others would wait as long for nothing.
                if rest := args.keys[number:]:
                    context.complain(f"so these were not tried: {' '.join(rest)}")
                break
        else:
            context.done_in_part = True
            _confirm_key(context, "deleted", key)
    if not failures:
        return ExitStatus.OK
    return ExitStatus.PARTIAL if context.done_in_part else failures[0]


def getall(context: Context, args: Namespace) -> None:
    if context.json:
        export(context, args)
        return
    from kv_client import fastjson, lines

    for record in lines.export(context.client, args.prefix):
        fields = fastjson.members(record)
        key = fastjson.value(fields["key"])
        value = shown_on_a_line(fields["value"].decode())
        context.print(key if args.keys_only else f"{key}\t{value}")


def subs(context: Context, args: Namespace) -> None:
    topic = _topic(context) if args.subscriber else None
    record = context.client.subs(args.key)
    todo = topic.tell(args.subscriber, args.key) if topic else ""
    if context.json:
        context.print_json(record.text)
    elif topic:
        context.print(f"subscribed to {record.key}, for {args.subscriber.endpoint}")
    else:
        context.print(f"subscribed to {record.key}")
    if todo:
        context.tell(todo)


def unsubs(context: Context, args: Namespace) -> None:
    if not args.subscriber:
        context.client.unsubs(args.key)
        _confirm_key(context, "unsubscribed from", args.key)
        return
    topic = _topic(context)
    topic.stop_telling(args.subscriber, args.key)
    others = topic.told().of(args.key)
    if not others:
        # The key's end, if it came before, has ended its subscription.
        with suppress(KeyNotFound, NotSubscribed):
            context.client.unsubs(args.key)
    _confirm_key(context, f"unsubscribed {args.subscriber.endpoint} from", args.key)
    if others and _is_subscribed_to(context, args.key):
        context.tell(f"{args.key} stays subscribed to, since others are told of it too")


def suball(context: Context, _: Namespace) -> None:
    told = _told(context) if context.json else None
    for key in context.client.suball():
        if told:
            subscribers = [each._asdict() for each in told.of(key)]
            context.print_object({"key": key, "subscribers": subscribers})
        elif context.json:
            context.print_object({"key": key})
        else:
            context.print(key)


def _find_topic(context: Context) -> "Topic | None":
    from kv_client.topics import Topic

    arn = context.client.status().get("topic")
    return None if arn is None else Topic(arn, context.options.aws_profile)


def _topic(context: Context) -> "Topic":
    topic = _find_topic(context)
    if topic is None:
        raise DeliveryRefused("the store publishes to no topic; KV_TOPIC_ARN names it one")
    return topic


def _told(context: Context) -> "Told | None":
    """Return who is told of what, where there is a topic and the caller may know."""
    try:
        topic = _find_topic(context)
        if topic is None:
            return None
        told = topic.told()
    except KVError as error:
        context.tell(f"who is told is not known: {error.message}")
        return None
    for subscriber in told.unconfirmed:
        context.tell(f"{subscriber.endpoint} has yet to confirm, of which keys is not known")
    return told


def incr(context: Context, args: Namespace) -> None:
    record = context.client.incr(args.key, args.by)
    if context.json:
        context.print_json(record.text)
    else:
        context.print(record.json)


def export(context: Context, args: Namespace) -> None:
    from kv_client import lines

    for record in lines.export(context.client, args.prefix):
        context.print_json(record.decode())


def import_(context: Context, args: Namespace) -> ExitStatus:
    from tqdm import tqdm

    from kv_client.lines import read_lines
    from kv_client.transfer import Import, Mode, Outcome

    stdin, stderr = context.streams.stdin, context.streams.stderr
    with (
        open_bytes(args.file, stdin) as (stream, size),
        tqdm(
            total=size, unit="B", unit_scale=True, file=stderr, disable=not stderr.isatty()
        ) as progress,
    ):

        def complain(number: int, error: Exception) -> None:
            with progress.external_write_mode(file=stderr):
                context.complain(f"line {number}: {error}")

        work = Import(context.client, Mode(args.mode), dry_run=args.dry_run, complain=complain)
        try:
            work.run(read_lines(stream, progress.update))
        except BaseException:
            # Be it the store that is lost, the time that is over, or Ctrl-C.
            context.done_in_part = work.writes > 0
            if work.writes:
                progress.close()
                _summarise(context, args, work)
            raise
    _summarise(context, args, work)
    return ExitStatus.PARTIAL if work.counts[Outcome.FAILED] else ExitStatus.OK


def _summarise(context: Context, args: Namespace, work: "Import") -> None:
    counts = {str(outcome): count for outcome, count in work.counts.items()}
    if context.json:
        context.print_object(counts)
    else:
        summary = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        context.print(f"would be: {summary}" if args.dry_run else summary)


def copy(context: Context, args: Namespace) -> ExitStatus:
    from kv_client.copy import copy as copy_records

    with context.open(args.source) as source, context.open(args.target) as target:
        result = copy_records(source, target, context.complain)
    if context.json:
        sides = {name: getattr(result, name)._asdict() for name in ("source", "target")}
        context.print_object(result._asdict() | sides)
    else:
        context.print(f"copied {result.copied} records")
        for name, side in (("FROM", result.source), ("TO  ", result.target)):
            context.print(f"{name} {side.records} records, sha256 {side.sha256}")
        if result.only_in_target:
            context.print(f"only in TO: {result.only_in_target}, {', '.join(result.examples)}")
        context.print("TO holds all of FROM" if result.same else "TO differs from FROM")
    return ExitStatus.OK if result.same else ExitStatus.PARTIAL


def watch(context: Context, args: Namespace) -> None:
    from kv_client.watch import pause_on, run_for
    from kv_client.watch import watch as watch_keys

    client, stdout = context.client, context.streams.stdout
    for key in args.keys:
        if not _is_subscribed_to(context, key):
            context.tell(f"{key} is not subscribed to, so nothing of it is reported; see subs")
    since = args.since or client.changes()[1]
    # The store has yet to say whether one that was given is a cursor.
    context.tell("watching" if args.since else f"watching; --since {since} begins here again")

    def tell(message: str) -> None:
        context.tell(message)
        context.report_lost_instance()

    changes = watch_keys(
        client,
        args.keys,
        since,
        pause=lambda: pause_on(stdout, args.interval),
        tell=tell,
    )
    for change in changes:
        if context.json:
            context.print_json(change.text)
        else:
            op = coloured(change.op, _COLOURS[change.op], stdout)
            value = "" if change.op == "del" else f"\t{shown_on_a_line(change.json)}"
            context.print(f"{change.at:%Y-%m-%dT%H:%M:%SZ}\t{op}\t{change.key}{value}")
        stdout.flush()
        if args.exec and (code := run_for(change, args.exec)):
            context.tell(f"{args.exec!r} ended with {code}")


def _is_subscribed_to(context: Context, key: str) -> bool:
    try:
        return context.client.get(key).subscribed
    except KeyNotFound:
        return False


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
        if context.json:
            context.print_object({"endpoint": endpoint, "url": url})
        else:
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


def config_show(context: Context, _: Namespace) -> None:
    for name, endpoint in config.profiles().items():
        _print_profile(context, f"{name}\t{endpoint}", name, endpoint)


def config_set(context: Context, args: Namespace) -> None:
    config.set_endpoint(args.profile_name, args.url)
    text = f"profile {args.profile_name} is {args.url}"
    _print_profile(context, text, args.profile_name, args.url)


def _print_profile(context: Context, text: str, name: str, endpoint: str) -> None:
    if context.json:
        context.print_object({"profile": name, "endpoint": endpoint})
    else:
        context.print(text)


def config_path(context: Context, _: Namespace) -> None:
    path = str(config.config_file())
    if context.json:
        context.print_object({"path": path})
    else:
        context.print(path)


def completion(context: Context, args: Namespace) -> None:
    import shtab

    from kv_client.cli import command_line

    context.print(shtab.complete(command_line().parser, args.shell))


def shell(context: Context, _: Namespace) -> ExitStatus:
    from kv_client.shell import run_shell

    return run_shell(context)


def help_(context: Context, args: Namespace) -> None:
    from kv_client.arguments import no_such_command
    from kv_client.cli import command_line

    parser, readers = command_line(in_shell=context.in_shell)
    if args.name and args.name not in readers:
        raise UsageError(no_such_command(args.name, readers))
    context.streams.stdout.write((readers[args.name] if args.name else parser).format_help())


def exit_(*_: object) -> None:
    raise EndOfShell
