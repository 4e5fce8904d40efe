"""Callbacks for trainings whose loop is not written by hand.

* :class:`fitdiag.integrations.lightning.FitdiagCallback` for PyTorch Lightning;
* :class:`fitdiag.integrations.transformers.FitdiagCallback` for the Hugging Face Trainer;
* :func:`fitdiag.integrations.accelerate.record` for loops with Accelerate.

Importing these modules loads neither torch nor the library; the library is looked for when the
callback is made.
"""

from __future__ import annotations

__all__: list[str] = []
