"""The `qbd` command line: reads the settings, calls one function per command, turns problems into one line.

Each command imports what it needs itself, so that `./qbd --help` does not wait for libraries it does not use.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.parent_watch import end_with_supervisor
from ops.problems import ProblemError

if TYPE_CHECKING:
    from ops.settings import Settings

EXIT_PROBLEM = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="qbd",
    help="Exports TMS.ai invoices and carrier bills into QuickBooks Desktop.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="Keys of the HTTP API.", no_args_is_help=True)
app.add_typer(keys, name="keys")


def main() -> int:
    """Run the command line; a problem that the user can mend is one line and exit code 2."""
    end_with_supervisor(os.environ)
    try:
        app(prog_name="qbd")
    except ProblemError as problem:
        typer.echo(f"qbd: {problem}", err=True)
        return EXIT_PROBLEM
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        if not _is_database_problem(error):
            raise
        typer.echo(f"qbd: {error}", err=True)
        return EXIT_PROBLEM
    return 0


def _is_database_problem(error: Exception) -> bool:
    # Only a module that is already loaded can have raised it; loading SQLAlchemy just to compare would be slow.
    engine = sys.modules.get("store.engine")
    return engine is not None and isinstance(error, engine.DatabaseProblemError)


def _settings() -> Settings:
    from ops.private_files import be_private  # noqa: PLC0415
    from ops.settings import load_settings  # noqa: PLC0415

    be_private()
    return load_settings(os.environ)


@app.command()
def demo(
    keep: Annotated[bool, typer.Option(help="Keep the temporary data folder afterwards.")] = False,
    console: Annotated[
        bool, typer.Option("--console", help="Stay, with QuickBooks calling every ten seconds, and print a link in.")
    ] = False,
) -> None:
    """Run everything once with a simulated QuickBooks: sample documents in, a table of results out."""
    if console:
        from ops.demo_console import run_console_demo  # noqa: PLC0415

        raise typer.Exit(run_console_demo(os.environ, keep=keep, tell=typer.echo))
    from ops.demo import run_demo  # noqa: PLC0415

    raise typer.Exit(run_demo(os.environ, keep=keep))


@app.command()
def up() -> None:
    """Run the bridge, the API, the worker and (unless TEMPORAL_ADDRESS is set) a Temporal server, until Ctrl-C."""
    import asyncio  # noqa: PLC0415

    from ops.stack import run_up  # noqa: PLC0415

    asyncio.run(run_up(_settings(), os.environ, typer.echo))


@app.command()
def bridge() -> None:
    """Run only the SOAP service for the QuickBooks Web Connector."""
    from ops.services import run_bridge  # noqa: PLC0415

    run_bridge(_settings())


@app.command()
def api() -> None:
    """Run only the HTTP API."""
    from ops.services import run_api  # noqa: PLC0415

    run_api(_settings())


@app.command()
def worker() -> None:
    """Run only the Temporal worker."""
    from ops.services import run_worker  # noqa: PLC0415

    run_worker(_settings())


@app.command()
def codec() -> None:
    """Run only the codec server: it shows staff in the Temporal UI and CLI what QBD_PAYLOAD_KEYS encrypted."""
    from ops.services import run_codec  # noqa: PLC0415

    run_codec(_settings())


@app.command()
def migrate() -> None:
    """Bring the database to this program's version; changes nothing when it is."""
    from ops.database import migrate as migrate_database  # noqa: PLC0415

    typer.echo(f"{migrate_database(_settings())} is at this program's version.")


@app.command("move-database")
def move_database(
    source: Annotated[
        str | None, typer.Option("--from", metavar="URL", help="The database to move; default: the data folder's file.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--to", metavar="URL", help="An empty one; default: QBD_DATABASE_URL.")
    ] = None,
) -> None:
    """Move everything into another, empty database, as from SQLite to PostgreSQL, with everything stopped."""
    from ops.move_database import run_move  # noqa: PLC0415

    run_move(_settings(), source=source, target=target, tell=typer.echo)


@app.command()
def prune(
    older_than: Annotated[
        int | None, typer.Option(min=7, metavar="DAYS", help="Days to keep; default: QBD_RETENTION_DAYS.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would be deleted.")] = False,
    daily: Annotated[bool, typer.Option("--daily", help="Now and then every day, until a signal comes.")] = False,
) -> None:
    """Delete answers, timelines, delivered signals and notices that are over and old; may run at any time."""
    from ops.prune import prune_daily, run_prune, signalled  # noqa: PLC0415

    if daily:
        prune_daily(_settings(), older_than=older_than, dry_run=dry_run, tell=typer.echo, wait=signalled())
        return
    for line in run_prune(_settings(), older_than=older_than, dry_run=dry_run):
        typer.echo(line)


@app.command("temporal-setup")
def temporal_setup() -> None:
    """Make Temporal's namespace, its retention and the search attributes; changes nothing when they are there."""
    import asyncio  # noqa: PLC0415

    from ops.temporal_setup import run_setup  # noqa: PLC0415

    for line in asyncio.run(run_setup(_settings(), os.environ)):
        typer.echo(line)


@app.command()
def health(
    process: Annotated[str, typer.Argument(help="bridge, api or worker; without it, those that run here.")] = "",
) -> None:
    """Ask the process on this machine whether it is well, over its own port; exit code 1 when it is not."""
    from ops.health import check_health  # noqa: PLC0415

    report = check_health(_settings(), process)
    for line in report.lines:
        typer.echo(line)
    raise typer.Exit(0 if report.is_well else 1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run the tests; further arguments go to pytest."""
    from ops.checks import run_tests  # noqa: PLC0415

    raise typer.Exit(run_tests(context.args))


@app.command()
def audit() -> None:
    """Ask for known vulnerabilities of the pinned requirements; exit code 1: there is one, 3: nobody could be asked."""
    from ops.audit import run_audit  # noqa: PLC0415
    from ops.stack import PROJECT  # noqa: PLC0415

    verdict = run_audit(PROJECT)
    for line in verdict.lines:
        typer.echo(line, err=bool(verdict.code))
    raise typer.Exit(verdict.code)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def chaos(context: typer.Context) -> None:
    """Kill and disturb a stack of its own, and check the promise: --seeds N|FROM:TO, --twins, --rolling, --help."""
    from ops.checks import run_chaos  # noqa: PLC0415

    raise typer.Exit(run_chaos(context.args))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def bench(context: typer.Context) -> None:
    """Measure the budgets: [NAME...] --database sqlite|postgresql|both, --quick, --json FILE, --write-docs, --help."""
    from ops.checks import run_bench  # noqa: PLC0415

    run_bench(context.args)


@app.command()
def doctor(
    company: Annotated[str | None, typer.Argument(help="The company's id; without one: the installation.")] = None,
) -> None:
    """Explain a company in ten lines, or without a company the installation; exit code 1 when something is wrong."""
    if company is not None:
        from ops.doctor import describe_company  # noqa: PLC0415

        for line in describe_company(_settings(), company):
            typer.echo(line)
        return
    from ops.installation import describe_installation  # noqa: PLC0415

    lines, is_well = describe_installation(_settings(), os.environ)
    for line in lines:
        typer.echo(line)
    raise typer.Exit(0 if is_well else 1)


@app.command()
def exports(
    company: Annotated[str | None, typer.Option(help="Only this company's.")] = None,
    state: Annotated[
        str | None, typer.Option("--state", "--status", help="pending, mapped, queued, sent, successful, failed, ...")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Whose turn it is: tms_user, bookkeeper, it, us.")] = None,
    code: Annotated[str | None, typer.Option(help="Code of the failure.")] = None,
    since: Annotated[str | None, typer.Option(help="3d, 12h, monday, today or 2026-11-20 (UTC).")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    query: Annotated[bool, typer.Option("--query", help="Print the same question for the Temporal UI.")] = False,
) -> None:
    """List exports, the last change first."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from ops import export_list  # noqa: PLC0415

    wanted = export_list.wanted_from(
        company=company, state=state, owner=owner, code=code, since=since, now=datetime.now(UTC)
    )
    if query:
        typer.echo(export_list.visibility_query(wanted))
        return
    rows = export_list.find_exports(_settings(), wanted, limit=limit)
    if json:
        typer.echo(export_list.as_json(rows))
        return
    from rich.console import Console  # noqa: PLC0415

    export_list.show(rows, Console(), limit=limit)


@app.command()
def restored(
    backup_at: Annotated[str, typer.Option(help="When the backup was begun, as in 2026-11-25T03:00:00+00:00.")],
    temporal: Annotated[bool, typer.Option("--temporal", help="Temporal was put back, not the database.")] = False,
) -> None:
    """After the database was put back from a backup, with bridge, API and worker stopped: let nothing be doubled."""
    import asyncio  # noqa: PLC0415
    from datetime import UTC, datetime  # noqa: PLC0415

    from ops.restored import run_restored  # noqa: PLC0415

    try:
        at = datetime.fromisoformat(backup_at)
    except ValueError:
        raise ProblemError(f"{backup_at} is not a time; give it as in 2026-11-25T03:00:00+00:00.") from None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    for line in asyncio.run(run_restored(_settings(), os.environ, backup_at=at, temporal=temporal)):
        typer.echo(line)


@app.command()
def simulate(
    qwc: Annotated[Path, typer.Argument(help="The .qwc file that the API gave.", exists=True, dir_okay=False)],
    password: Annotated[str, typer.Option(help="The Web Connector's password.")],
    every: Annotated[int, typer.Option(min=1, help="Seconds between two sessions.")] = 15,
    company_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Where the simulated company file is kept between runs.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Run one session and stop.")] = False,
    name: Annotated[
        str | None, typer.Option(help="Name of the company in a new company file; default: the .qwc file's AppName.")
    ] = None,
) -> None:
    """Play a Web Connector with a QuickBooks company file against a running bridge."""
    from ops.services import run_simulator  # noqa: PLC0415

    code = run_simulator(qwc, password=password, every=every, company_file=company_file, once=once, name=name)
    raise typer.Exit(code)


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="Who will use the key.")],
    company: Annotated[str | None, typer.Option(help="The only company that it may see; default: all.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="read, export, configure or admin; may be repeated. Default: admin.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Days until it runs out; default: never.")] = None,
) -> None:
    """Make a key and show it, this once."""
    from ops.keys import ADMIN, create_key  # noqa: PLC0415

    made = create_key(_settings(), name, company=company, scopes=scope or [ADMIN], days=days)
    typer.echo(f"Key {made.id} for {name}; it is not shown again:", err=True)
    typer.echo(made.key)


@keys.command("list")
def keys_list() -> None:
    """List all keys, revoked ones too."""
    from ops.keys import list_keys  # noqa: PLC0415

    for line in list_keys(_settings()):
        typer.echo(line)


@keys.command("revoke")
def keys_revoke(key_id: Annotated[str, typer.Argument(help="The key's id, from `keys list`.")]) -> None:
    """Refuse a key from now on."""
    from ops.keys import revoke_key  # noqa: PLC0415

    revoke_key(_settings(), key_id)
    typer.echo(f"Key {key_id} is revoked.")


@keys.command("payload")
def keys_payload(
    key_id: Annotated[str, typer.Argument(help="A name for it that was not used before, such as the month.")],
) -> None:
    """Make a key of payload encryption and show it: put it first in QBD_PAYLOAD_KEYS, and keep the others behind it."""
    import secrets  # noqa: PLC0415

    from store.key_ring import new_key  # noqa: PLC0415

    try:
        typer.echo(new_key(key_id, secrets.token_bytes))
    except ValueError as error:
        raise ProblemError(f"{key_id!r} cannot be used: {error}.") from error


@keys.command("reseal")
def keys_reseal() -> None:
    """Encrypt what the database holds of secrets under the first key of QBD_PAYLOAD_KEYS, before an older key goes."""
    from ops.keys import reseal_secrets  # noqa: PLC0415

    typer.echo(f"{reseal_secrets(_settings())} secrets of webhooks were encrypted anew.")
