"""From what strategies say to what is done: signals of a session, their conflicts, the decision on each, and how they fared."""
