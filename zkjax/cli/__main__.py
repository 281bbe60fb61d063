"""`python -m zkjax.cli` is `zkjax`."""

from zkjax.cli import main

main()
