"""``python -m tapeline_cli`` is the `tapeline` command."""

from tapeline_cli.main import main

main()
