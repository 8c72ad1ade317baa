"""How well the cell sees: instances and full shapes against the truth, on labelled scenes (`./cell eval see`)."""
