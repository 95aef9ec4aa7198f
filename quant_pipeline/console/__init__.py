"""What the commands do: they run the same jobs as the UI, show progress, and say what came of it."""
