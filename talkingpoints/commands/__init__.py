"""The command line: its arguments in ``cli`` and ``options``, and a module for what each command does."""
