"""How customers move: flows, common paths, loops and hand-offs, and how groups differ in them."""
