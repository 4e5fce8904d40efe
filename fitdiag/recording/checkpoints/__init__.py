"""Checkpoints that are kept while a training runs, resumed from and averaged.

The flow: ``keeper`` (when a file is due, and which stay) → ``state`` (what belongs into it) →
``snapshot`` (a copy in host memory, for which alone the loop waits) → ``saving`` (a thread that
writes, lists and deletes) → ``storage`` (a file whole or not at all). ``resuming`` and
``averaging`` read what is there.
"""
