"""REST for other programs, under the paths that the users of former systems know; described at /api/doc."""
