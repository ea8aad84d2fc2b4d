"""Closed-form editing of what a text-to-image model draws for a name (extra ``images``)."""
