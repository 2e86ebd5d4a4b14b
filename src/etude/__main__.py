"""`python -m etude` is `etude`."""

from etude.cli.main import main

main()
