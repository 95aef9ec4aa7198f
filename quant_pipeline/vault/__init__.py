"""What must not be read by others (cookies, passwords, tokens), encrypted at rest under SECRET_KEY."""
