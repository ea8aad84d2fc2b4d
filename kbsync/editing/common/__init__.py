"""What every editing method shares: prompts as tokens, sampled text, losses over the vocabulary, linear algebra."""
