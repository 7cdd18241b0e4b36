"""Pages about models for people: what they contain, and how it is drawn."""
