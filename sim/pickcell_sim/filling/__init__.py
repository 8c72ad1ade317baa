"""How items come to lie in a tote."""
