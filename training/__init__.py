"""The verbs of the project: scripts that train, evaluate and publish what `talkingpoints` defines."""
