"""pull: which items are watched, what changed on them, what the statements mean now; by schedule or as it happens."""
