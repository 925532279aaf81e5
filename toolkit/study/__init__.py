"""The table and the law: all events sorted by customer and time, and counts taken over any partition of them."""
