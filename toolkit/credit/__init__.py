"""What goes with converting, and which touchpoints and channels are given credit for it."""
