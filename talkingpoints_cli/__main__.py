"""``python -m talkingpoints_cli``."""

from talkingpoints_cli import main

main()
