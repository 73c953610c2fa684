"""``python -m talkingpoints.commands``."""

from talkingpoints.commands.cli import main

main()
