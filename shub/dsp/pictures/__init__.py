"""Pictures of sound. Only the worker imports this: matplotlib is large."""
