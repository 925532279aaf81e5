"""How customers move: sessions, transitions, funnels, touchpoints, sales."""
