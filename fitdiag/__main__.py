"""``python -m fitdiag`` is the command ``fitdiag``."""

from fitdiag.cli import main

if __name__ == "__main__":
    main()
