"""Who is told when ``current`` moves: a command on this machine, or a webhook anywhere."""
