"""`doctor`: what has to be right for the platform to work, looked at one by one; a file per matter."""
