"""``fitdiag average``: one file of weights from several checkpoints."""

from __future__ import annotations

from pathlib import Path

import click

from fitdiag.cli.arguments import LiteralHelp

__all__ = ["average"]


@click.command(cls=LiteralHelp)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "-o", "--output", required=True, metavar="FILE", help="The file to write, such as avg.pt."
)
@click.option("--force", is_flag=True, help="Overwrite the output where it is there already.")
def average(*, files: tuple[str, ...], output: str, force: bool) -> None:
    """Average the weights of the checkpoints in FILE, two or more of one model.

    Each counts the same. Whole states that fitdiag kept are understood, plain
    state dicts, and files with the weights under "model" or "state_dict". What
    is written is a plain state dict: model.load_state_dict(torch.load("avg.pt")).

    Nothing in a file is run: what holds more than tensors and plain data is
    refused. Files of different models are refused with the names and shapes
    that differ.

    Statistics of batch normalisation do not average well. Recompute them on
    the training data: torch.optim.swa_utils.update_bn(loader, model)

    For example:
      fitdiag average ckpt/epoch={8,9,10}-*.pt -o avg.pt
    """
    from fitdiag.errors import UsageError, WriteError
    from fitdiag.recording.checkpoints.averaging import average as average_files
    from fitdiag.recording.checkpoints.averaging import has_batch_norm
    from fitdiag.recording.checkpoints.storage import write_file
    from fitdiag.report.words import clean

    path = Path(output)
    if path.is_dir() or not path.suffix:
        raise UsageError(f"the output {output!r} is no file name: write one such as avg.pt")
    if path.exists() and not force:
        raise WriteError(f"{output} exists: pass --force to replace it, or give -o another name")
    weights = average_files(files)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(weights, path)
    except OSError as error:
        raise WriteError(f"{output} cannot be written: {error.strerror or error}") from error
    click.echo(f"Wrote {clean(output)}: {len(files)} checkpoints averaged.", err=True)
    if has_batch_norm(weights):
        click.echo(
            "It holds statistics of batch normalisation, which are not those of the averaged "
            "weights: recompute them by torch.optim.swa_utils.update_bn(loader, model).",
            err=True,
        )
