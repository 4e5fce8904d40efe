"""The command ``fitdiag watch``: follows a log that grows, and ends with its report."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import click

from fitdiag.cli.arguments import LiteralHelp
from fitdiag.cli.options import (
    config_option,
    input_format_option,
    logs_argument,
    mapping_option,
)
from fitdiag.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fitdiag.diagnosis import Config, Diagnosis
    from fitdiag.watching import Alert, News

__all__ = ["watch"]

#: seconds after which a live page loads itself anew
REFRESH = 5

#: of the time, what looking may take: a log that is slow to read is looked at less often
SHARE = 0.1

#: seconds that a notification may take
PATIENCE = 30


@click.command(cls=LiteralHelp)
@logs_argument
@click.option(
    "--every",
    type=click.FloatRange(min=0.05),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look; less often where reading the log takes long.",
)
@click.option(
    "--until-idle",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="End when the log has not changed for so long. Default: end with Ctrl-C.",
)
@click.option(
    "--notify",
    metavar="CMD",
    help="Run this at each alert, with the message as its last argument; FITDIAG_ALERT and "
    "FITDIAG_LOG say what and where. No shell is involved.",
)
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Rewrite this page after each change; it reloads itself while the training runs.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="DEST",
    help="Where the report goes at the end, as with `fitdiag report`; may be given several times.",
)
@click.option("--no-report", is_flag=True, help="Write no report at the end.")
@mapping_option
@input_format_option
@config_option
@click.option("--force", is_flag=True, help="Overwrite files that fitdiag did not write.")
def watch(
    *,
    logs: tuple[str, ...],
    every: float,
    until_idle: float | None,
    notify: str | None,
    page: str | None,
    outputs: tuple[str, ...],
    no_report: bool,
    columns: dict[str, str],
    input_format: str | None,
    config: str | None,
    force: bool,
) -> None:
    """Follow LOG while the training writes it.

    On a terminal the summary of `fitdiag report` is kept up to date; elsewhere
    a line is printed when the verdict changes. An alert (overfitting, no
    learning, divergence, an exploding gradient and other errors) comes once.
    A log that is not there yet is waited for; one that is replaced or begins
    anew is followed on. Ctrl-C ends it, with the report.

    For example:
      fitdiag watch logs.csv
      fitdiag watch runs/today/ --notify "notify-send fitdiag"
      fitdiag watch logs.csv --html live.html --until-idle 3600
    """
    from fitdiag.cli.destinations import plan
    from fitdiag.configuration import load_config

    command = _split_command(notify)
    work = None if no_report else plan(logs[0], outputs, None, terminal=sys.stdout.isatty())
    if work is not None:
        work.check(force=force)
    limits = load_config(config)
    live = _Live(
        logs=logs,
        config=limits,
        columns=columns,
        input_format=input_format,
        command=command,
        page=page,
        force=force,
    )
    try:
        live.follow(every, until_idle)
    except KeyboardInterrupt:
        click.echo("", err=True)
    finally:
        live.close()
    if work is None or not live.ever_read:
        return
    from fitdiag.diagnosis import diagnose
    from fitdiag.readers import read

    path = logs[0] if len(logs) == 1 else logs
    final = diagnose(read(path, format=input_format, columns=columns), limits)
    written = [str(path) for path in work.write(final, force=force)]
    click.echo(f"Wrote {' and '.join(written)}.", err=True)


def _split_command(notify: str | None) -> list[str]:
    if notify is None:
        return []
    try:
        command = shlex.split(notify)
    except ValueError as error:
        raise UsageError(f"--notify {notify!r} is no command: {error}") from None
    if not command or shutil.which(command[0]) is None:
        raise UsageError(f"--notify {notify!r}: there is no command {(command or [''])[0]!r}")
    return command


class _Live:
    """Looks, shows and notifies."""

    def __init__(
        self,
        *,
        logs: Sequence[str],
        config: Config,
        columns: dict[str, str],
        input_format: str | None,
        command: list[str],
        page: str | None,
        force: bool,
    ) -> None:
        from fitdiag.watching import Watch

        self.watch = Watch(logs, config, format=input_format, columns=columns)
        self.log = " ".join(logs)
        self.command = command
        self.page = page
        self.force = force
        self.ever_read = False
        self._screen = sys.stdout.isatty()
        self._shown = ""
        self._alerts: list[str] = []
        self._last: Diagnosis | None = None

    def follow(self, every: float, until_idle: float | None) -> None:
        """Look until the log is idle for long enough, or for ever."""
        quiet_since = time.monotonic()
        while True:
            begin = time.monotonic()
            news = self.watch.look()
            if news is not None:
                self._tell(news)
                quiet_since = time.monotonic()
            elif until_idle is not None and time.monotonic() - quiet_since >= until_idle:
                return
            time.sleep(max(every, (time.monotonic() - begin) / SHARE))

    def _tell(self, news: News) -> None:
        from fitdiag.report.words import TEXT_LENGTH, clean

        if news.diagnosis is not None:
            self.ever_read = True
            self._write_page(news.diagnosis)
        for alert in news.alerts:
            self._alerts.append(clean(alert.message, TEXT_LENGTH))
            self._notify(alert)
        if self._screen:
            self._draw(news)
        else:
            self._print(news)

    def _draw(self, news: News) -> None:
        """Put the summary over the last one."""
        from fitdiag.report import render
        from fitdiag.report.words import TEXT_LENGTH, clean

        color = "NO_COLOR" not in os.environ
        lines = [f"Waiting: {clean(news.reason, TEXT_LENGTH)}"]
        if news.diagnosis is not None:
            text = render(news.diagnosis, "text", color=color)
            lines = str(text).rstrip("\n").split("\n")
        alerts = [f"  ! {text}" for text in self._alerts[-3:]]
        now = time.strftime("%H:%M:%S")
        foot = f"  {now}  following {clean(self.log, 60)}; Ctrl-C ends it with the report"
        rows = shutil.get_terminal_size().lines
        width = shutil.get_terminal_size().columns
        wrapped = click.wrap_text("\n\n".join(alerts), width - 1, preserve_paragraphs=True)
        lines = [*lines, *(wrapped.split("\n") if alerts else []), foot[: width - 1]]
        click.echo("\033[H\033[2J" + "\n".join(lines[: rows - 1]), color=color)

    def _print(self, news: News) -> None:
        """Print a line when something is different."""
        from fitdiag.report.words import TEXT_LENGTH, clean

        now = time.strftime("%H:%M:%S")
        for alert in news.alerts:
            click.echo(f"{now} ALERT {alert.key}: {clean(alert.message, TEXT_LENGTH)}")
        line = f"waiting: {clean(news.reason, TEXT_LENGTH)}"
        if news.diagnosis is not None:
            line = f"{news.diagnosis.verdict}"
        if line == self._shown:
            return
        self._shown = line
        if all(alert.key != line for alert in news.alerts):
            reason = clean(news.diagnosis.reason, TEXT_LENGTH) if news.diagnosis else ""
            click.echo(f"{now} {line}" + (f": {reason}" if reason else ""))

    def _write_page(self, diagnosis: Diagnosis) -> None:
        if self.page is None:
            return
        from fitdiag.report import write_report

        write_report(diagnosis, self.page, format="html", force=self.force, refresh=REFRESH)
        self.force = True  # it is ours now
        self._last = diagnosis

    def close(self) -> None:
        """Let the page reload itself no more."""
        from fitdiag.report import write_report

        if self.page is not None and self._last is not None:
            write_report(self._last, self.page, format="html", force=True)

    def _notify(self, alert: Alert) -> None:
        """Run the command; that it fails is said, and no more."""
        if not self.command:
            return
        told = {**os.environ, "FITDIAG_ALERT": alert.key, "FITDIAG_LOG": self.log}
        try:
            subprocess.run(  # noqa: S603  # the user's own command, without a shell
                [*self.command, alert.message], env=told, timeout=PATIENCE, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            click.echo(f"--notify failed: {error}", err=True)
