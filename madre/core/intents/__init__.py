"""How a message is read: words, features, classifier, guards and slots; pure, and small enough to test alone."""
