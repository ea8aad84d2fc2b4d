"""What runs without a person: the daemon, its logs, and the views behind command line and status page."""
