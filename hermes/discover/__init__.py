"""How a tool that is not here can be installed, as package indexes and pages tell it. Nothing of it is ever run."""
