"""``python -m biomarkers``: the command line."""

from biomarkers.cli.main import main

main()
