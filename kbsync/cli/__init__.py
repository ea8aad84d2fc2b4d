"""The command line: one file a verb. Results on stdout, logs and progress on stderr, exit codes as documented."""
