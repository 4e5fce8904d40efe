"""Goes over a log line by line, keeps the clock, and cuts it into runs."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from fitdiag.readers.stdout.grids import find_grid
from fitdiag.readers.stdout.keys import CURVES, Key
from fitdiag.readers.stdout.lines import LINE_LIMIT, read_lines
from fitdiag.readers.stdout.numerals import NUMBER, NUMERAL, tells_comma, to_number
from fitdiag.readers.stdout.shapes import Item, Template
from fitdiag.readers.stdout.template import understand
from fitdiag.readers.stdout.tracks import BAR, EPOCH, STEP, Recording, Track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from fitdiag.readers.stdout.grids import Grid

__all__ = ["Scanner", "scan"]

#: so many templates are remembered; a log whose every line is new cannot fill the memory
REMEMBERED = 20_000

#: so many quantities of one run are kept
TRACKS = 400

#: kinds that a section's heading says the split of
MEASURES = frozenset({"loss", "metric", "batch_loss", "part"})

#: from so many lines on, a template is tried first; so many of them are
OFTEN, USUAL = 16, 4

#: unless it has more texts than this
MOST_TEXTS = 40


def scan(path: Path, encoding: str) -> Scanner:
    """Read a log; a second time where its commas turn out to be decimal signs."""
    scanner = Scanner()
    for block in read_lines(path, encoding):
        scanner.read(block)
    if scanner.commas["decimal"] and scanner.commas["either"]:
        scanner = Scanner(comma=True)
        for block in read_lines(path, encoding):
            scanner.read(block)
    return scanner


class Scanner:
    """The state between two lines.

    Parameters
    ----------
    comma : bool
        Whether numbers with one comma have decimal commas.
    """

    def __init__(self, *, comma: bool = False) -> None:
        self.comma = comma
        self.commas: Counter[str] = Counter()
        self.runs: list[Recording] = [Recording()]
        self.epoch = math.nan
        self.step = math.nan
        self.epochs = math.nan
        self.line = 0
        self.section = ""
        self.used: dict[str, int] = {}
        self.grid: Grid | None = None
        self.grid_item: tuple[Item, ...] = ()
        self._known: dict[tuple[str, ...], Template] = {}
        self._usual: list[tuple[Callable[[str], re.Match[str] | None], Template]] = []

    @property
    def run(self) -> Recording:
        """The run that is being read."""
        return self.runs[-1]

    def read(self, lines: Iterable[str]) -> None:
        """Take some lines."""
        self._usual.sort(key=lambda pair: -pair[1].hits)
        split, known, usual = NUMBER.split, self._known, self._usual
        for line in lines:
            self.line += 1
            for pattern, template in usual:
                match = pattern(line)
                if match is not None:
                    numbers: Sequence[str] = match.groups()
                    template.hits += 1
                    break
            else:
                if not line:
                    continue
                parts = split(line[:LINE_LIMIT])
                texts = tuple(parts[::2])
                found = known.get(texts)
                template = self._learn(texts, line) if found is None else found
                numbers = parts[1::2]
                template.hits += 1
                if template.hits == OFTEN:
                    self._get_used(template, texts)
            if self.grid is not None and not template.items and self._read_row(line):
                continue
            if template.grid is not None:
                self.grid = template.grid
            elif template.tells:
                self._take(template, numbers)

    def _learn(self, texts: tuple[str, ...], line: str) -> Template:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        found = understand(texts)
        if not found.items:
            found.grid = find_grid(line)
        self._known[texts] = found
        return found

    def _get_used(self, template: Template, texts: tuple[str, ...]) -> None:
        """Have a frequent line tried first, by one pattern of its own."""
        if len(texts) > MOST_TEXTS:
            return
        pattern = NUMERAL.join(map(re.escape, texts))
        self._usual.append((re.compile(pattern).fullmatch, template))
        self._usual.sort(key=lambda pair: -pair[1].hits)
        del self._usual[USUAL:]

    def _take(self, template: Template, numbers: Sequence[str]) -> None:
        if template.is_label:
            self.section, self.used = template.label, {}
            return
        epoch = self._number(numbers, template.epoch) if template.epoch >= 0 else self.epoch
        step = self._number(numbers, template.step) if template.step >= 0 else math.nan
        if template.epoch_total >= 0 and template.drives:
            self._check_total(epoch, self._number(numbers, template.epoch_total))
        if template.is_header:
            self._begin_epoch(template, numbers, epoch)
            return
        section = self._choose_section(template)
        if template.drives and (template.is_named or section in {"", "train"}):
            self._advance(epoch, step, template)
        if template.total >= 0 and template.drives:
            self.run.total = max(self.run.total, self._number(numbers, template.total))
        if template.items:
            self._record(template, numbers, epoch, step, section)

    def _begin_epoch(self, template: Template, numbers: Sequence[str], epoch: float) -> None:
        if (
            template.epoch_total >= 0
            and epoch == self._number(numbers, template.epoch_total) == 1
            and self.epoch >= 1
            and self.run.has_loss()
        ):
            epoch = self.epoch + 1  # a loop around fit(epochs=1)
        elif epoch == self.epoch == self.epochs and self.run.has_loss():
            self._begin_run()  # the last epoch of another training
        self._advance(epoch, math.nan, template)
        self.section, self.used = template.label, {}

    def _check_total(self, epoch: float, total: float) -> None:
        """Cut where the number of epochs changes, unless the run goes on."""
        before, self.epochs = self.epochs, total
        if total != before and epoch not in {self.epoch, self.epoch + 1} and before == before:  # noqa: PLR0124  # NaN
            self._begin_run()

    def _choose_section(self, template: Template) -> str:
        """Return the split of the section, unless another shape of line says that it is over."""
        if not self.section or template.label:
            return ""
        for item in template.items:
            if item.key.kind == "loss" and not item.key.split:
                first = self.used.setdefault(item.key.text, id(template))
                if first != id(template):
                    self.section, self.used = "", {}
                    return ""
        return self.section

    def _advance(self, epoch: float, step: float, template: Template) -> None:
        """Move the clock; cut the log where it goes back."""
        run = self.run
        if template.epoch >= 0 and epoch < self.epoch:
            if run.first_epoch is None or epoch <= run.first_epoch:
                run = self._begin_run()
            else:
                run.resumes.append((EPOCH, epoch, self.line))
                self.step = math.nan
        elif template.step >= 0 and math.isnan(epoch) and self._goes_back(step, template):
            if run.first_step is None or step <= run.first_step:
                run = self._begin_run()
            else:
                run.resumes.append((STEP, step, self.line))
        if template.epoch >= 0 and not math.isnan(epoch):
            self.epoch = epoch
            run.first_epoch = epoch if run.first_epoch is None else run.first_epoch
        if template.step >= 0 and not math.isnan(step):
            self.step = step
            run.first_step = step if run.first_step is None else run.first_step
            run.inner = run.inner or template.inner
            run.counters.add(template.counter)

    def _goes_back(self, step: float, template: Template) -> bool:
        """Tell whether a step comes again; other lines may tell the same step."""
        before, template.step_before = template.step_before, step
        return step < self.step or (step == before and template.owner is self.run)

    def _begin_run(self) -> Recording:
        if self.run.has_loss():
            self.runs.append(Recording())
        else:
            self.runs[-1] = Recording()
        self.epoch = self.step = math.nan
        return self.run

    def _record(
        self, template: Template, numbers: Sequence[str], epoch: float, step: float, section: str
    ) -> None:
        """Append a line's values to their tracks."""
        run = self.run
        if template.owner is not run or template.section != section:
            template.owner, template.section = run, section
            template.tracks = self._list_tracks(template, section)
        row = run.clock.put(epoch, self.step if step != step else step, self.line)  # noqa: PLR0124  # NaN
        for item, track, mean in template.tracks:
            try:
                value = float(numbers[item.at])
            except ValueError:
                value = self._number(numbers, item.at, measure=item.key.kind in CURVES)
            if item.percent:
                value /= 100
            if item.total >= 0:
                value /= self._number(numbers, item.total) or math.nan
            track.rows.append(row)
            track.values.append(value)
            if mean is not None:
                mean.put(row, self._number(numbers, item.mean))

    def _list_tracks(
        self, template: Template, section: str
    ) -> list[tuple[Item, Track, Track | None]]:
        found = []
        for item in template.items:
            track = self._find_track(item, template, section)
            mean = None
            if item.mean >= 0:
                mean = self._find_track(item, template, section, is_mean=True)
            if track is not None:
                found.append((item, track, mean))
        return found

    def _find_track(
        self, item: Item, template: Template, section: str, *, is_mean: bool = False
    ) -> Track | None:
        key = item.key
        own = section if not key.split and key.kind in MEASURES else ""
        if own == "train" and key.kind == "loss":
            own = ""  # a bare loss is a training loss
        if key.kind == "metric" and not (own or key.split) and item.beside:
            own = "train"
        joined = template.drives and (template.is_named or section in {"", "train"})
        level = BAR if template.is_bar else STEP if template.step >= 0 else EPOCH
        return self._get_track(
            key, own, level, is_mean=is_mean, joined=joined, percent=item.percent
        )

    def _get_track(
        self,
        key: Key,
        own: str,
        level: str,
        *,
        is_mean: bool = False,
        joined: bool = False,
        percent: bool = False,
    ) -> Track | None:
        name = f"{own or key.shown} {key.text}" if own or key.shown else key.text
        where = (name, level, is_mean)
        tracks = self.run.tracks
        if where not in tracks and len(tracks) < TRACKS:
            tracks[where] = Track(
                name, key.with_split(own), level, self.run.clock, is_mean, joined, percent
            )
        return tracks.get(where)

    def _read_row(self, line: str) -> bool:
        """Read a row of the table whose header came before."""
        grid = self.grid
        cells = None if grid is None else grid.read_row(line)
        if grid is None or cells is None:
            return False
        kinds = [key.kind for key in grid.keys]
        numbers = [cell.rstrip("%s") for cell in cells]
        template = Template(
            epoch=kinds.index("epoch") if "epoch" in kinds else -1,
            step=kinds.index("step") if "step" in kinds else -1,
            drives=True,
        )
        epoch = self._number(numbers, template.epoch) if template.epoch >= 0 else self.epoch
        step = self._number(numbers, template.step) if template.step >= 0 else math.nan
        self._advance(epoch, step, template)
        level = STEP if template.step >= 0 else EPOCH
        row = self.run.clock.put(epoch, self.step, self.line)
        for at, (key, cell) in enumerate(zip(grid.keys, cells, strict=True)):
            if key.kind in {"epoch", "step", "index"} or not NUMBER.fullmatch(numbers[at]):
                continue
            percent = cell.endswith("%")
            value = self._number(numbers, at, measure=True) / (100 if percent else 1)
            track = self._get_track(key, "", level, joined=True, percent=percent)
            if track is not None:
                track.put(row, value)
        return True

    def _number(self, numbers: Sequence[str], at: int, *, measure: bool = False) -> float:
        token = numbers[at]
        try:
            return float(token)
        except ValueError:
            if measure and "," in token:
                self.commas[tells_comma(token)] += 1
            return to_number(token, comma=self.comma)
