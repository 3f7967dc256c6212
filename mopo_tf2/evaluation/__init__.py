"""Real environments, evaluation episodes and scores."""
