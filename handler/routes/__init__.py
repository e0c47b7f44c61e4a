"""One module for each group of operations; functions have OpenAI's operation names."""
