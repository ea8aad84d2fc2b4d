"""evaluate: what a version is asked, what the models reply, the metrics of it, and the gate's decision."""
