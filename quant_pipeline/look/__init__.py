"""What every page of ours looks like: the stylesheet, the template environment, how figures are written."""
