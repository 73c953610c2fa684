"""What the command line does. Its arguments are declared in ``talkingpoints_cli``, which imports nothing heavy."""
