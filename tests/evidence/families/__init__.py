"""Small models of many families: each ends in a recipe that was found for it, or in one sentence that says why not."""
