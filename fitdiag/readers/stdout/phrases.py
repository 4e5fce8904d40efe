"""The words and marks around the numbers of a training loop's output. Data only."""

from __future__ import annotations

import re

__all__ = [
    "ALIASES",
    "CODE",
    "COUNTING",
    "CUTS",
    "EVALUATED",
    "FILLERS",
    "INNER_FILLERS",
    "KEEPERS",
    "LABELS",
    "LOSSLIKE",
    "OPENERS",
    "PIECES",
    "SEPARATOR",
    "UNITS",
]

#: what a programme calls a curve, in normalised words, and what it is
ALIASES: dict[str, str] = {
    "trl": "train_loss",
    "tel": "val_loss",
    "lm_loss": "loss",
    "lm_loss_value": "loss",
    "lm_loss_validation": "val_loss",
    "valbin_loss": "val_loss",
    "valbin_perplexity": "val_perplexity",
    "train_lm_loss": "train_loss",
    "val_lm_loss": "val_loss",
    "loss_train": "train_loss",
    "loss_val": "val_loss",
    "avg_train_loss": "train_loss",
    **dict.fromkeys(["vl_loss", "vloss", "v_loss"], "val_loss"),
    **dict.fromkeys(["tloss", "t_loss"], "train_loss"),
    "gn": "grad_norm",
    "g_norm": "grad_norm",
}

#: words that name the data a line was measured on, besides those of the column names
LABELS: dict[str, str] = {
    "evaluating": "val",
    "validating": "val",
    "evaluate": "val",
    "evaluated": "val",
}

#: words that say nothing about which curve it is
FILLERS = frozenset(
    {
        *("epoch", "step", "iteration", "set", "data", "phase", "stage", "split", "results"),
        *("result", "summary", "stats", "statistics", "metrics", "metric", "performance", "at"),
        *("end", "of", "the", "on", "in", "after", "for", "is", "was", "done", "finished"),
        *("completed", "complete", "starting", "start", "started", "begin", "running", "now"),
        *("took", "time", "elapsed", "eta", "remaining", "duration", "s", "sec", "secs", "ms"),
        *("seconds", "min", "mins", "minutes", "m", "h", "info", "debug", "current", "error"),
        *("loss", "report", "report", "with", "and", "log", "this", "overall", "per", "model"),
        *("batch", "batches", "loop", "round", "number", "no", "result", "its", "took", "it"),
    }
)

#: words before a key that leave it what it is
KEEPERS = frozenset(
    {
        *("done", "finished", "completed", "complete", "info", "at", "end", "of", "the", "on"),
        *("results", "result", "summary", "set", "data", "after", "current", "with", "and", "a"),
        *("stats", "epoch", "phase", "starting", "start", "begin", "started", "running", "in"),
        *("loss", "is", "was", "for", "step", "iteration", "now", "log", "root", "s", "sec"),
    }
)

#: words inside a loss's name that leave it what it is
INNER_FILLERS = frozenset({"set", "dataset", "data", "the", "on", "of", "for", "at", "in"})

#: from such a word on, a line tells of something else than this moment's values
CUTS = re.compile(
    r"\b(?:sav(?:ed|ing|e)|early[ _-]?stop\w*|checkpoint\w*|(?:not )?improv\w*|restor\w*|resum\w*|"
    r"load(?:ed|ing)|decreased|increased|reducing|reduced)\b|保存|提升|早停",
    re.IGNORECASE,
)

#: what follows such a word is about another moment
BEST = re.compile(r"\b(?:best|final|finally|lowest|minimum|so far)\b|最佳|最好|最终", re.IGNORECASE)

#: lines of source code and tracebacks, and the summary of a finished run
CODE = re.compile(
    r"^\s*(?:def|class|import|from|return|for|if|elif|else|while|with|try|except|print|assert|raise"
    r"|@\w+|File \"|//|#include)\b.*(?:[:()]|$)(?<!\d)$"
    r"|\{\w*(?:[:!][^{}]*)?\}|%\.?\d*[dfeg](?![\w])|\+=|-=|\*=|\bself\.|\"\"\"|'''|\blambda\b"
    r"|^\s*[A-Za-z_][\w.\[\]]* = [^=]*[A-Za-z_]\w*\(|^\s+[A-Za-z_][\w.]* = [-\d.e]+\s*(?:#.*)?$"
    r"|\btrain_runtime\b|\breturn \w+$|\.backward\(|\.item\(|\b[A-Z]\w*(?:Error|Exception)\b"
)

#: what may stand between a key and its value
SEPARATOR = re.compile(r"\s*(?:[:=\uff1a\uff1d\u2192]+|[-=]*>|\b(?:is|of|was))\s*$")

#: what may open a value: quotes, brackets, the names of wrappers
OPENERS = re.compile(
    r"(?:[\"'`(\[{<~\u2248$\s]|\b(?:tensor|array|np\.float(?:32|64)|Array|device\w*))+$"
)

#: what stands between two pairs
PIECES = re.compile(
    r"[,;|\uff0c\uff1b\uff5c\u3002()\[\]{}<>\t\"'*#`!?\u2022\u00b7\u2713\u2714\u2192\u2500-\u27bf"
    r"\U0001f300-\U0001faff]|\s{2,}|\s[-\u2013\u2014~]+\s|^\s*[-\u2013\u2014]+\s|[-=_~]{3,}"
    r"|[:=\uff1a\uff1d]|\.\s|\\"
)

#: how the ImageNet example of PyTorch, and all that came from it, sums up an evaluation
EVALUATED = re.compile(r"\s*\*\s+(?:Acc|Prec)@")

#: after one of these a number counts things, as in "accuracy of the network on the 10000 images"
COUNTING = frozenset({"the", "on", "of", "over", "all", "for", "from", "in", "these", "those"})

#: letters directly after a number, or a word after it, that make it a time, a size or a rate
UNITS = re.compile(r"/?[A-Za-z\u00b5](?![A-Za-z]*[:=])|\s*(?:it|s|ms|samples?|tok(?:ens)?)/\w")

#: progress bars
BARS = re.compile(r"\[[=>.\-#]{3,}|\d*%\|| it/s|s/it|[\u2581-\u258f\u2588\u2591-\u2593\u2501]{2}")

#: a metric that a log without any loss was trained on
LOSSLIKE = frozenset(
    {"mse", "rmse", "mae", "nll", "bce", "ce", "cross_entropy", "elbo", "l1", "huber", "mse_error"}
)
