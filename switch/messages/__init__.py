"""Anthropic's Messages API, as its clients speak it, over whatever models there are."""
