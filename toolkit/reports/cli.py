"""`journey`, the command line. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from toolkit.errors import BusyError, MissingExtra, ReportError, ToolkitError, UsageError

FAILED, WRONG, BUSY = 1, 2, 3
RESERVED = {
    "source": "--data",
    "tz": "--tz",
    "locale": "--locale",
    "currency": "--currency",
    "columns": "--column",
    "as_of": "--as-of",
    "period_start": "--period",
    "period_end": "--period",
}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="journey-toolkit", prog_name="journey")
def cli() -> None:
    """Customer journeys: from exported tables to a report.

    Exit codes: 0 all well, 1 a notebook failed (the other pages are there), 2 wrong use, parameters or data, 3 another
    run holds the folder.
    """


@cli.command()
@click.argument("notebooks", nargs=-1, metavar="[NOTEBOOK]...")
@click.option(
    "--data", "source", required=True, metavar="PATH", help="Folder of canonical tables, or one file of events."
)
@click.option(
    "--out", default="reports", show_default=True, type=click.Path(path_type=Path), help="Where reports are kept."
)
@click.option(
    "--params", "file", type=click.Path(path_type=Path), metavar="FILE.yaml", help="Parameters as name: value lines."
)
@click.option("-p", "pairs", multiple=True, metavar="NAME=VALUE", help="One parameter; may be given several times.")
@click.option("--as-of", metavar="DATE", help="See the data as they stood then; left out, all there is.")
@click.option("--period", metavar="PERIOD", help="last-28-days, last-month, 2026-04, 2026 or 2026-03-01..2026-06-01.")
@click.option("--tz", metavar="ZONE", help="Time zone of the study, such as Europe/Copenhagen.")
@click.option("--locale", metavar="L", help="How numbers and dates are shown, such as da or en_GB.")
@click.option("--currency", metavar="CODE", help="Currency of amounts that name none, such as DKK.")
@click.option("--column", "renamed", multiple=True, metavar="THEIRS=OURS", help="A column of yours under our name.")
@click.option(
    "--notebooks", "folder", type=click.Path(path_type=Path), help="Folder of notebooks; left out, ./notebooks."
)
def report(notebooks, source, out, file, pairs, as_of, period, tz, locale, currency, renamed, folder) -> int:
    """Run the notebooks on a study's data: the report."""
    from toolkit.reports.notebooks import find_notebooks
    from toolkit.reports.period import read_period
    from toolkit.reports.runner import Plan, run_report
    from toolkit.study.opening import open_data

    paths = find_notebooks(notebooks, folder or _shipped_notebooks())
    given = read_parameters(file, pairs)
    source = source if "://" in source else str(Path(source).resolve())
    opening = {"tz": tz, "locale": locale, "as_of": as_of, "currency": currency, "columns": renames(renamed)}
    data = open_data(source, **opening)
    start, end, name = read_period(period, data.observed_until, data.tz)
    shared = {"source": source, **opening, "period_start": start, "period_end": end}
    plan = Plan(study=data.name, notebooks=tuple(paths), out=out, given=given, shared=shared, period=name)
    run = run_report(plan, say=lambda line: click.echo(line, err=True))
    click.echo(run.folder / "index.html")
    return FAILED if run.failed else 0


@cli.command()
@click.argument("data", metavar="DATA")
@click.option("--tz", metavar="ZONE", help="Time zone of the study, such as Europe/Copenhagen.")
@click.option("--currency", metavar="CODE", help="Currency of amounts that name none, such as DKK.")
@click.option("--column", "renamed", multiple=True, metavar="THEIRS=OURS", help="A column of yours under our name.")
def check(data: str, tz: str | None, currency: str | None, renamed: tuple[str, ...]) -> int:
    """Say what is in the data and what is wrong."""
    from toolkit.study.opening import open_data

    click.echo(open_data(data, tz=tz, currency=currency, columns=renames(renamed)).check())
    return 0


@cli.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--customers", default=4_000, show_default=True, type=click.IntRange(min=1), help="How many customers.")
@click.option(
    "--seed", default=7, show_default=True, type=click.IntRange(min=0), help="The same seed makes the same shop."
)
def simulate(folder: Path, customers: int, seed: int) -> int:
    """Write the tables of an invented webshop."""
    from toolkit.simulate import write_data

    def tell(done: int, wanted: int) -> None:
        click.echo(f"{done:,} of {wanted:,} customers", err=True)

    click.echo(write_data(folder, customers=customers, seed=seed, progress=tell))
    return 0


@cli.command()
@click.argument("out", default="reports", type=click.Path(path_type=Path, exists=True, file_okay=False))
def index(out: Path) -> int:
    """Write the list of all runs anew."""
    from toolkit.reports.front import write_index

    click.echo(write_index(out))
    return 0


@cli.command()
def erase() -> int:
    """Remove what is kept of the data between runs (customer ids, and copies of text files)."""
    from toolkit.study.cache import erase_cache

    click.echo(f"{erase_cache()} kept studies removed")
    return 0


@cli.command()
@click.option(
    "--out", default="reports", show_default=True, type=click.Path(path_type=Path), help="Where reports would be kept."
)
def doctor(out: Path) -> int:
    """Say what is missing on this machine."""
    from toolkit.reports.doctor import examine

    findings = examine(out)
    for finding in findings:
        click.echo(f"{'ok     ' if finding.well else 'MISSING' if finding.needed else 'without'}  {finding.text}")
    return FAILED if any(finding.needed and not finding.well for finding in findings) else 0


def read_parameters(file: Path | None, pairs: tuple[str, ...]) -> dict:
    """Parameters from a YAML file and from NAME=VALUE pairs, which win."""
    given = {}
    if file:
        import yaml

        try:
            given = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UsageError(f"'{file}' cannot be read as YAML: {' '.join(str(error).split())}") from error
        if not isinstance(given, dict):
            raise UsageError(f"'{file}' must hold name: value lines.")
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise UsageError(f"-p {pair}: write it as name=value.")
        given[name.strip()] = value
    for name in given:
        if name in RESERVED:
            raise UsageError(f"'{name}' is set for the whole report: use {RESERVED[name]}.")
    return given


def renames(pairs: tuple[str, ...]) -> dict[str, str]:
    """Their column name → ours, from THEIRS=OURS pairs.

    Example:
        >>> renames(("event_time=timestamp",))
        {'event_time': 'timestamp'}
    """
    for pair in pairs:
        if not all(pair.partition("=")):
            raise UsageError(f"--column {pair}: write it as theirs=ours, such as event_time=timestamp.")
    return dict(pair.split("=", 1) for pair in pairs)


def _shipped_notebooks() -> Path:
    here = Path("notebooks")
    return here if here.is_dir() else Path(__file__).resolve().parents[2] / "notebooks"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code; what the user can put right is a sentence, not a traceback."""
    if arguments is None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a scheduler's stop ends the kernels too
    try:
        sys.exit(cli.main(args=arguments, prog_name="journey", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(WRONG)
    except click.Abort:
        _say("Stopped.")
        sys.exit(130)
    except (ToolkitError, MissingExtra) as error:
        _say(str(error))
        sys.exit(BUSY if isinstance(error, BusyError) else FAILED if isinstance(error, ReportError) else WRONG)
    except OSError as error:
        _say(f"{error.filename or 'A file'}: {error.strerror or error}.")
        sys.exit(WRONG)


def _say(text: str) -> None:
    click.echo(f"journey: {text}", err=True)


if __name__ == "__main__":
    main()
