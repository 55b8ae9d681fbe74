"""HTTP itself: the server, the door that every request passes, bodies, answers."""
