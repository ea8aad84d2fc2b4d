"""Who is told when ``current`` moves: a command on this machine, a webhook anywhere."""
