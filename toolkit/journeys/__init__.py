"""What customers do: sessions, transitions, touchpoints, sales, and what the tables know."""
