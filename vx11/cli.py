"""The `vx11` command: reads its arguments, and imports only what the chosen command needs, so that help comes at once."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from vx11.errors import CommandFailed

if TYPE_CHECKING:
    from config.settings import FleetSettings
    from vx11.api import Api
    from vx11.place import Place

Command = Callable[[argparse.Namespace], int]
SECONDS_OF = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status: 0 success, 1 a refusal or a fleet that is not well, 2 a wrong command line.

    `spawn` ends with the status of what it ran.
    """
    asked = _parser().parse_args(arguments)
    command: Command = asked.command
    try:
        return command(asked)
    except CommandFailed as exc:
        print(f"vx11: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `vx11 logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


class _Commands:
    """Adds commands to a parser; each has a function, a line of help, and arguments given by who adds it."""

    def __init__(self, parser: argparse.ArgumentParser, title: str, *, is_required: bool = True) -> None:
        self._commands = parser.add_subparsers(title=title, metavar="COMMAND", required=is_required)

    def add(self, name: str, command: Command, text: str, *, talks: bool = False) -> argparse.ArgumentParser:
        """`talks` adds where the gateway is and which token to show it."""
        parser = self._commands.add_parser(name, help=text, description=text)
        parser.set_defaults(command=command)
        if talks:
            parser.add_argument("--url", help="address of the gateway; default: the one of the settings")
            parser.add_argument("--token", help="token to show; default: VX11_TOKEN, then the owner's token file")
        return parser

    def group(self, name: str, text: str, *, otherwise: Command | None = None) -> "_Commands":
        """Commands under a name; `otherwise` is what the name alone means."""
        parser = self._commands.add_parser(name, help=text, description=text)
        parser.set_defaults(command=otherwise, url=None, token=None, all=False)
        return _Commands(parser, "commands", is_required=otherwise is None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vx11",
        description="Start the VX11 fleet and talk to it. Settings come from VX11_… variables and from .env.",
    )
    commands = _Commands(parser, "commands")
    _add_fleet_commands(commands)
    _add_talk_commands(commands)
    _add_job_commands(commands)
    _add_model_commands(commands.group("models", "find, fetch, check and remove models", otherwise=_models_list))
    _add_cli_commands(commands.group("clis", "see the command-line tools of this box", otherwise=_clis_list))
    _add_token_commands(commands.group("token", "make, list and revoke client tokens"))
    audit = commands.group("audit", "look after the audit trail")
    audit.add(
        "verify", _audit_verify, "read every audit chain and tell what was changed; exit status 1 if anything was"
    )
    return parser


def _add_fleet_commands(commands: _Commands) -> None:
    up = commands.add("up", _up, "start the fleet and stay with it until Ctrl-C")
    up.add_argument("-d", "--detach", action="store_true", help="return when all are healthy; logs go to files")
    up.add_argument("--single", action="store_true", help="all services but spawner in one process, for small machines")
    commands.add("down", _down, "stop the fleet")
    status = commands.add("status", _status, "show the services; exit status 1 unless all are well", talks=True)
    status.add_argument("--json", action="store_true", help="the same for programs")
    restart = commands.add("restart", _restart, "stop one service and start it again")
    restart.add_argument("service")
    logs = commands.add("logs", _logs, "show what was logged last")
    logs.add_argument("service", nargs="?", help="default: all, in the order of time")
    logs.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    logs.add_argument("-n", "--lines", type=int, default=100, help="how many lines (default 100)")
    logs.add_argument("--raw", action="store_true", help="lines as they were logged")
    commands.add("migrate", _migrate, "bring the database to the newest schema")


def _add_talk_commands(commands: _Commands) -> None:
    chat = commands.add("chat", _chat, "tell madre what you want", talks=True)
    chat.add_argument("message")
    chat.add_argument("-f", "--file", action="append", default=[], dest="files", help="upload this and speak of it")
    chat.add_argument(
        "--asset", action="append", default=[], dest="assets", help="speak of an asset that is there already"
    )
    chat.add_argument("-s", "--session", help="the conversation this belongs to")
    chat.add_argument("--no-wait", dest="wait", action="store_false", help="do not stay until the plan has ended")
    chat.add_argument("-y", "--yes", action="store_true", help="confirm what it asks to be confirmed")
    chat.add_argument("--dry-run", action="store_true", help="show the plan and do nothing")
    plans = commands.add("plans", _plans, "list the newest plans, or show one", talks=True)
    plans.add_argument("plan", nargs="?")
    confirm = commands.add("confirm", _confirm, "confirm a plan that waits for it", talks=True)
    confirm.add_argument("plan")
    confirm.add_argument("confirm_token", nargs="?", metavar="TOKEN", help="the one-use token of a HIGH plan")
    cancel = commands.add("cancel", _cancel, "cancel a plan", talks=True)
    cancel.add_argument("plan")
    halt = commands.add("halt", _halt, "end all jobs and start nothing until `vx11 resume`; plans wait", talks=True)
    halt.add_argument("reason", nargs="?", default="", help="what to tell those who ask why")
    commands.add("resume", _resume, "go on after a halt: with the plans; direct jobs that it ended stay so", talks=True)
    upload = commands.add("upload", _upload, "upload audio files and print their asset ids", talks=True)
    upload.add_argument("files", nargs="+")
    download = commands.add("download", _download, "download an asset", talks=True)
    download.add_argument("asset")
    download.add_argument("-o", "--output", help="file to write; default: the asset's name in this folder")
    commands.add("demo", _demo, "make three small stems and show the fleet at work", talks=True)


def _add_job_commands(commands: _Commands) -> None:
    spawn = commands.add(
        "spawn", _spawn, "run a command in the sandbox; its output, and its exit status as ours", talks=True
    )
    spawn.add_argument("--timeout", type=float, metavar="SECONDS", help="end it after this long (default 60)")
    spawn.add_argument("--memory", type=int, metavar="MIB", help="memory of all its processes (default 512)")
    spawn.add_argument("-f", "--file", action="append", default=[], dest="files", help="copy this into its folder")
    spawn.add_argument("--stdin", action="store_true", help="give it our standard input, read to its end")
    spawn.add_argument("--network", action="store_true", help="with network; wants a token made for spawner:network")
    spawn.add_argument("program", help="a name found in the allowed folders, or a path inside them")
    spawn.add_argument("arguments", nargs=argparse.REMAINDER, help="handed to it as they are; none is needed")
    spawn.usage = "%(prog)s [option ...] [--] program [argument ...]"
    jobs = commands.add("jobs", _jobs, "list the newest jobs, or show one", talks=True)
    jobs.add_argument("job", nargs="?")
    commands.add("kill", _kill, "end a job and all its processes", talks=True).add_argument("job")


def _add_model_commands(models: _Commands) -> None:
    models.add("list", _models_list, "list the models of this box", talks=True)
    search = models.add("search", _models_search, "look for models on the hub and in the catalogue", talks=True)
    search.add_argument("query", nargs="+")
    search.add_argument("--source", choices=("huggingface", "openrouter", "all"), default="all")
    search.add_argument("--size-max", type=_bytes, metavar="500MB", help="most bytes of its smallest version")
    search.add_argument("--specialty", help="code, vision, embedding, …")
    search.add_argument("--license", help="such as apache-2.0")
    search.add_argument("--type", dest="model_type", choices=("gguf", "safetensors", "onnx", "api"))
    search.add_argument("--sort", dest="sort_by", choices=("score", "downloads", "likes", "recency", "size"))
    search.add_argument("-n", "--limit", type=int, default=10, help="how many (default 10)")
    download = models.add("download", _models_download, "fetch a model, verify and register it", talks=True)
    download.add_argument("model", help="its id on the hub: owner/name")
    download.add_argument("-q", "--quantization", metavar="Q4_K_M", help="which version of it")
    download.add_argument("--revision", help="commit, branch or tag; default: the newest")
    download.add_argument("--name", help="what to call it here")
    models.add("follow", _models_follow, "show how far a download is, to its end", talks=True).add_argument("job")
    models.add("cancel", _models_cancel, "stop a download and drop what it fetched", talks=True).add_argument("job")
    models.add("verify", _models_verify, "read all its files again", talks=True).add_argument("model", metavar="ID")
    remove = models.add("remove", _models_remove, "have a model removed; madre asks first", talks=True)
    remove.add_argument("model", metavar="ID", help="its id or its name")
    remove.add_argument("-y", "--yes", action="store_true", help="confirm it at once")
    upkeep = models.add("upkeep", _models_upkeep, "remove models beyond the limits; madre asks first", talks=True)
    upkeep.add_argument("--dry-run", action="store_true", help="only show what would go")
    upkeep.add_argument("-y", "--yes", action="store_true", help="confirm it at once")
    models.add("improvements", _models_improvements, "show better models than those kept", talks=True)


def _add_cli_commands(clis: _Commands) -> None:
    for name, command, text in (
        ("list", _clis_list, "list the tools as they were found last"),
        ("scan", _clis_scan, "look for the tools again"),
    ):
        clis.add(name, command, text, talks=True).add_argument("--all", action="store_true", help="those not here too")
    discover = clis.add("discover", _clis_discover, "look for how to install a tool; nothing is run", talks=True)
    discover.add_argument("name")
    discover.add_argument("--method", choices=("registry", "browser"), default="registry")


def _add_token_commands(tokens: _Commands) -> None:
    create = tokens.add("create", _token_create, "make a client token; it is shown once", talks=True)
    create.add_argument("--name", help="what it is for; default: its scopes")
    create.add_argument(
        "--scope", action="append", required=True, dest="scopes", help="<module>:<operation>, <module>:* or *"
    )
    create.add_argument(
        "--expires", type=_seconds, metavar="30d", help="life: a number with s, m, h, d or w; default: none"
    )
    tokens.add("list", _token_list, "list the client tokens", talks=True)
    tokens.add("revoke", _token_revoke, "end a client token now", talks=True).add_argument("id")


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)([smhdw])", text)
    if found is None or int(found[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a length of time: write 90s, 15m, 12h, 30d or 4w")
    return int(found[1]) * SECONDS_OF[found[2]]


def _bytes(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kMG]?)B?", text, re.IGNORECASE)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write 500MB or 2GB")
    return int(float(found[1]) * 1000 ** " KMG".index(found[2].upper() or " "))


def _settings() -> "FleetSettings":
    from config.settings import BadSettings, read_settings

    try:
        return read_settings()
    except BadSettings as exc:
        raise CommandFailed(str(exc)) from exc


def _place() -> "Place":
    """What a command needs that looks after a fleet that runs: no wrong value of another setting may get in its way."""
    from config.settings import BadSettings
    from vx11.place import read_place

    try:
        return read_place()
    except BadSettings as exc:
        raise CommandFailed(str(exc)) from exc


def _api(asked: argparse.Namespace) -> "Api":
    from vx11.lean import without_httpx_command_line

    without_httpx_command_line()
    from vx11.api import connect

    return connect(_settings(), asked.url, asked.token)


def _up(asked: argparse.Namespace) -> int:
    from vx11 import running

    return running.up(_settings(), detach=asked.detach, single=asked.single)


def _down(asked: argparse.Namespace) -> int:
    from vx11 import running

    return running.down(_place())


def _status(asked: argparse.Namespace) -> int:
    if asked.url is not None:  # a fleet somewhere else, or in containers: only its gateway knows
        from vx11 import talk

        with _api(asked) as api:
            return talk.fleet_status(api, as_json=asked.json)
    from vx11 import running

    return running.status(_place(), as_json=asked.json)


def _restart(asked: argparse.Namespace) -> int:
    from vx11 import running

    return running.restart(_place(), asked.service)


def _logs(asked: argparse.Namespace) -> int:
    from vx11 import running

    return running.logs(_place(), asked.service, lines=asked.lines, following=asked.follow, raw=asked.raw)


def _migrate(asked: argparse.Namespace) -> int:
    from vx11 import running

    return running.migrate(_settings())


def _chat(asked: argparse.Namespace) -> int:
    from vx11 import talk

    with _api(asked) as api:
        return talk.chat(
            api,
            asked.message,
            files=asked.files,
            assets=asked.assets,
            session_id=asked.session,
            wait=asked.wait,
            yes=asked.yes,
            dry_run=asked.dry_run,
        )


def _plans(asked: argparse.Namespace) -> int:
    from vx11 import talk

    with _api(asked) as api:
        return talk.plans(api, asked.plan)


def _confirm(asked: argparse.Namespace) -> int:
    from vx11 import talk

    with _api(asked) as api:
        return talk.confirm(api, asked.plan, asked.confirm_token)


def _cancel(asked: argparse.Namespace) -> int:
    from vx11 import talk

    with _api(asked) as api:
        return talk.cancel(api, asked.plan)


def _halt(asked: argparse.Namespace) -> int:
    from vx11 import talk

    with _api(asked) as api:
        return talk.halt(api, asked.reason)


def _resume(asked: argparse.Namespace) -> int:
    from vx11 import talk

    with _api(asked) as api:
        return talk.resume(api)


def _upload(asked: argparse.Namespace) -> int:
    from vx11 import talk

    with _api(asked) as api:
        return talk.upload(api, asked.files)


def _download(asked: argparse.Namespace) -> int:
    from vx11 import talk

    with _api(asked) as api:
        return talk.download(api, asked.asset, asked.output)


def _demo(asked: argparse.Namespace) -> int:
    from vx11 import demo

    with _api(asked) as api:
        return demo.show(api)


def _spawn(asked: argparse.Namespace) -> int:
    from vx11 import jobs

    with _api(asked) as api:
        return jobs.spawn(
            api,
            asked.program,
            asked.arguments,
            files=asked.files,
            stdin=asked.stdin,
            timeout_seconds=asked.timeout,
            memory_mb=asked.memory,
            network=asked.network,
        )


def _jobs(asked: argparse.Namespace) -> int:
    from vx11 import jobs

    with _api(asked) as api:
        return jobs.jobs(api, asked.job)


def _kill(asked: argparse.Namespace) -> int:
    from vx11 import jobs

    with _api(asked) as api:
        return jobs.kill(api, asked.job)


def _models_list(asked: argparse.Namespace) -> int:
    from vx11 import models

    with _api(asked) as api:
        return models.show(api)


def _models_search(asked: argparse.Namespace) -> int:
    from vx11 import models

    filters = {name: getattr(asked, name) for name in ("size_max", "specialty", "license", "model_type", "sort_by")}
    with _api(asked) as api:
        return models.search(api, " ".join(asked.query), source=asked.source, limit=asked.limit, filters=filters)


def _models_download(asked: argparse.Namespace) -> int:
    from vx11 import models

    with _api(asked) as api:
        return models.download(
            api, asked.model, quantization=asked.quantization, revision=asked.revision, name=asked.name
        )


def _models_follow(asked: argparse.Namespace) -> int:
    from vx11 import models

    with _api(asked) as api:
        return models.follow(api, asked.job)


def _models_cancel(asked: argparse.Namespace) -> int:
    from vx11 import models

    with _api(asked) as api:
        return models.cancel(api, asked.job)


def _models_verify(asked: argparse.Namespace) -> int:
    from vx11 import models

    with _api(asked) as api:
        return models.verify(api, asked.model)


def _models_remove(asked: argparse.Namespace) -> int:
    from vx11 import models

    with _api(asked) as api:
        return models.remove(api, asked.model, yes=asked.yes)


def _models_upkeep(asked: argparse.Namespace) -> int:
    from vx11 import models

    with _api(asked) as api:
        return models.upkeep(api, dry_run=asked.dry_run, yes=asked.yes)


def _models_improvements(asked: argparse.Namespace) -> int:
    from vx11 import models

    with _api(asked) as api:
        return models.improvements(api)


def _clis_list(asked: argparse.Namespace) -> int:
    from vx11 import clis

    with _api(asked) as api:
        return clis.show(api, all_known=asked.all)


def _clis_scan(asked: argparse.Namespace) -> int:
    from vx11 import clis

    with _api(asked) as api:
        return clis.scan(api, all_known=asked.all)


def _clis_discover(asked: argparse.Namespace) -> int:
    from vx11 import clis

    with _api(asked) as api:
        return clis.discover(api, asked.name, method=asked.method)


def _token_create(asked: argparse.Namespace) -> int:
    from vx11 import tokens

    with _api(asked) as api:
        return tokens.create(api, asked.name or " ".join(asked.scopes)[:128], asked.scopes, asked.expires)


def _token_list(asked: argparse.Namespace) -> int:
    from vx11 import tokens

    with _api(asked) as api:
        return tokens.show(api)


def _token_revoke(asked: argparse.Namespace) -> int:
    from vx11 import tokens

    with _api(asked) as api:
        return tokens.revoke(api, asked.id)


def _audit_verify(asked: argparse.Namespace) -> int:
    from vx11 import audit

    return audit.verify(_settings())
