"""Where customers are lost: how far they get through steps, how long it takes, and how that changes."""
