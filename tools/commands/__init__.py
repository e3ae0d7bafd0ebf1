"""What the tools do when their options are read: a module of the tool's name for each, with ``run(args)``."""
