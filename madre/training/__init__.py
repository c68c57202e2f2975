"""How the reader of messages was taught: sentences, training, evaluation. Not needed at run time."""
